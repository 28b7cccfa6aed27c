//go:build mmuring

package main

import mmu "github.com/Jorropo/mmu-ring"

type ring = mmu.Ring

func newRing(capacity uintptr) (*ring, error) {
	return mmu.New(capacity)
}
