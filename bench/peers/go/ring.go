// Byte rings whose memory is mapped twice in a row, at the work of bench/subjects/memory. Which
// ring it is the build says: own_ring.go, or mmu_ring.go with the tag "mmuring".
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const (
	headerBytes = 4
	streamBytes = 1 << 20
	blockBytes  = 64
	blocksBytes = 256 * blockBytes
)

func must(err error) {
	if err != nil {
		die("%v", err)
	}
}

func openRing(capacity int) *ring {
	r, err := newRing(uintptr(capacity))
	must(err)
	return r
}

// Copies a chunk into the ring, and out of it; see bench/subjects/support/transfer.ts.
func ringReadWrite() {
	size := int(numberOption("chunk", 0))
	r := openRing(int(numberOption("capacity", 0)))
	source, sink := make([]byte, size), make([]byte, size)
	for index := range source {
		source[index] = byte(index * 7)
	}
	meter := newMeter(1024)
	for number := 1; ; number++ {
		source[0], source[size-1] = byte(number), byte(number>>8)
		copy(r.Unused(), source)
		must(r.Advance(uintptr(size)))
		copy(sink, r.Content())
		must(r.Consume(uintptr(size)))
		arrived := sink[0] == byte(number) && sink[size-1] == byte(number>>8)
		if !arrived || (number < 4096 && !bytes.Equal(sink, source)) {
			die("chunk %d is wrong", number)
		}
		if !meter.tick(1) {
			break
		}
	}
	printRate(meter)
}

func payloadByte(number, index int) byte {
	return byte(number*31 + index)
}

// recordSink is the one of bench/subjects/support/records.ts.
type recordSink struct {
	recordBytes, records, count int
	sum, expectedSum            uint32
	checksum                    uint32
	allBytes                    bool
}

func (s *recordSink) take(record []byte) {
	if s.allBytes {
		s.verify(record)
	}
	s.count++
	s.sum += uint32(len(record)) + uint32(record[0]) + uint32(record[len(record)-1])
}

func (s *recordSink) verify(record []byte) {
	if len(record) != s.recordBytes {
		die("a record has %d bytes", len(record))
	}
	for index, value := range record {
		if value != payloadByte(s.count, index) {
			die("record %d is wrong at byte %d", s.count, index)
		}
		s.checksum = s.checksum*31 + uint32(value)
	}
}

func (s *recordSink) endPass() uint64 {
	if s.count != s.records || s.sum != s.expectedSum {
		die("%d records with the sum %d are not those that were sent", s.count, s.sum)
	}
	s.count, s.sum, s.allBytes = 0, 0, false
	return uint64(s.records)
}

func recordStream() ([]byte, *recordSink) {
	size := int(numberOption("record", 0))
	frame := headerBytes + size
	sink := &recordSink{recordBytes: size, records: (streamBytes + frame - 1) / frame, allBytes: true}
	stream := make([]byte, 0, sink.records*frame)
	for number := 0; number < sink.records; number++ {
		stream = binary.LittleEndian.AppendUint32(stream, uint32(size))
		for index := 0; index < size; index++ {
			stream = append(stream, payloadByte(number, index))
		}
		sink.expectedSum += uint32(size) + uint32(payloadByte(number, 0))
		sink.expectedSum += uint32(payloadByte(number, size-1))
	}
	return stream, sink
}

// Parses records where they lie; see bench/subjects/memory/frames-annulus.ts.
func ringFrames() {
	chunk := int(numberOption("chunk", 0))
	r := openRing(int(numberOption("capacity", 0)))
	stream, sink := recordStream()
	meter := newMeter(1)
	for {
		for at := 0; at < len(stream); at += chunk {
			arrived := stream[at:min(at+chunk, len(stream))]
			copy(r.Unused(), arrived)
			must(r.Advance(uintptr(len(arrived))))
			content := r.Content()
			left := content
			for len(left) >= headerBytes {
				next := headerBytes + int(binary.LittleEndian.Uint32(left))
				if next > len(left) {
					break
				}
				sink.take(left[headerBytes:next])
				left = left[next:]
			}
			must(r.Consume(uintptr(len(content) - len(left))))
		}
		if !meter.tick(sink.endPass()) {
			break
		}
	}
	perSecond, _ := meter.figures()
	fmt.Printf("{\"value\": %.3f, \"unit\": \"record/s\", \"nanoseconds\": %.3f, \"checksum\": \"%x\"}\n",
		perSecond, 1e9/perSecond, sink.checksum)
}

// Advance, Content and Consume; see bench/subjects/memory/views-annulus.ts.
func ringViews() {
	r := openRing(blocksBytes)
	memory := r.Unused()
	for index := range memory {
		memory[index] = byte(index / blockBytes)
	}
	const turn = 4096
	meter := newMeter(turn)
	for {
		for number := 0; number < turn; number++ {
			must(r.Advance(blockBytes))
			content := r.Content()
			if len(content) != blockBytes || content[0] != byte(number) {
				die("block %d holds %d", byte(number), content[0])
			}
			must(r.Consume(blockBytes))
		}
		if !meter.tick(turn) {
			break
		}
	}
	perSecond, _ := meter.figures()
	fmt.Printf("{\"value\": %.6f, \"unit\": \"ns\"}\n", 1e9/perSecond)
}

// Makes, touches and closes a ring; see bench/subjects/memory/create-annulus.ts.
func ringCreate() {
	capacity := int(numberOption("capacity", 0))
	meter := newMeter(16)
	for {
		r := openRing(capacity)
		memory := r.Unused()
		memory[0] = 1
		if memory[0] != 1 {
			die("the memory keeps nothing")
		}
		must(r.Close())
		if !meter.tick(1) {
			break
		}
	}
	printRate(meter)
}

func printRate(m *meter) {
	perSecond, _ := m.figures()
	fmt.Printf("{\"value\": %.3f, \"unit\": \"op/s\", \"nanoseconds\": %.3f}\n", perSecond, 1e9/perSecond)
}
