//go:build !mmuring

package main

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

var (
	errNoSpace   = errors.New("the ring has less free space")
	errNoContent = errors.New("the ring has less content")
)

// ring does in Go what MirroredRing does in JavaScript, with the same checks of counts.
type ring struct {
	memory                 []byte // both mappings
	capacity, head, length uintptr
}

func newRing(capacity uintptr) (*ring, error) {
	fd, err := unix.MemfdCreate("peer-ring", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(capacity)); err != nil {
		return nil, fmt.Errorf("ftruncate: %w", err)
	}
	// The first mapping reserves the addresses of both; the second replaces its upper half.
	const access = unix.PROT_READ | unix.PROT_WRITE
	start, err := unix.MmapPtr(fd, 0, nil, 2*capacity, access, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	upper := unsafe.Add(start, capacity)
	_, err = unix.MmapPtr(fd, 0, upper, capacity, access, unix.MAP_SHARED|unix.MAP_FIXED)
	if err != nil {
		_ = unix.MunmapPtr(start, 2*capacity)
		return nil, fmt.Errorf("mmap of the mirror: %w", err)
	}
	return &ring{memory: unsafe.Slice((*byte)(start), 2*capacity), capacity: capacity}, nil
}

func (r *ring) Unused() []byte {
	return r.memory[r.head+r.length : r.head+r.capacity]
}

func (r *ring) Content() []byte {
	return r.memory[r.head : r.head+r.length]
}

func (r *ring) Advance(count uintptr) error {
	if count > r.capacity-r.length {
		return errNoSpace
	}
	r.length += count
	return nil
}

func (r *ring) Consume(count uintptr) error {
	if count > r.length {
		return errNoContent
	}
	r.head += count
	if r.head >= r.capacity {
		r.head -= r.capacity
	}
	r.length -= count
	return nil
}

func (r *ring) Close() error {
	start := unsafe.Pointer(&r.memory[0])
	r.memory = nil
	return unix.MunmapPtr(start, 2*r.capacity)
}
