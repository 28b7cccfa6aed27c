// The Go subject; bench/harness/foreign.ts builds it when go is there.
module peers

go 1.21

require github.com/hodgesds/iouring-go v0.0.0-20201011003013-bf9ad57e7a1d

require (
	github.com/pkg/errors v0.9.1 // indirect
	golang.org/x/sys v0.0.0-20200202164722-d101bd2416d5 // indirect
)
