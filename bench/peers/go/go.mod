// The Go subject; bench/harness/foreign.ts builds it when go is there.
module peers

go 1.23

require (
	github.com/Jorropo/mmu-ring v0.0.0-20241014191216-e4fddd524e13
	github.com/hodgesds/iouring-go v0.0.0-20201011003013-bf9ad57e7a1d
	golang.org/x/sys v0.26.0
)

require (
	github.com/pkg/errors v0.9.1 // indirect
)
