// Go's packages at the work of the subjects: work=filewrite|readwrite|frames|views|create says which.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/hodgesds/iouring-go"
)

// The part of the file that is written over and over; see bench/subjects/support/write-file.ts.
const fileBytes = 16 << 20

func die(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

// A file without a name, so that nothing is left of it.
func openFile(path string) *os.File {
	path = fmt.Sprintf("%s.write-%d", path, os.Getpid())
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		die("%v", err)
	}
	if err := os.Remove(path); err != nil {
		die("%v", err)
	}
	zeros := make([]byte, 1<<20)
	for written := 0; written < fileBytes; written += len(zeros) {
		if _, err := file.Write(zeros); err != nil {
			die("%v", err)
		}
	}
	return file
}

// The ring sizes are those of the published table.
func entriesFor(size int) uint {
	if size <= 1024 {
		return 1024
	}
	return 8192
}

func verify(file *os.File, count uint32, size int) {
	blocks := uint32(fileBytes / size)
	word := make([]byte, 4)
	for number := count - min(count, blocks); number != count; number++ {
		if _, err := file.ReadAt(word, int64(number%blocks)*int64(size)); err != nil {
			die("%v", err)
		}
		if got := binary.LittleEndian.Uint32(word); got != number {
			die("the file holds write %d where %d belongs", got, number)
		}
	}
}

func main() {
	works := map[string]func(){
		"filewrite": fileWrite,
		"readwrite": ringReadWrite,
		"frames":    ringFrames,
		"views":     ringViews,
		"create":    ringCreate,
	}
	name := textOption("work")
	work, known := works[name]
	if !known {
		die("no work is named %q", name)
	}
	work()
}

// The file-write table of iouring-go: one write after another through its FileReadWriter.
// The same work as bench/subjects/uring/filewrite-annulus.ts.
func fileWrite() {
	size := int(numberOption("size", 0))
	file := openFile(textOption("file"))
	ring, err := iouring.New(entriesFor(size), &iouring.Params{Features: iouring.FeatNoDrop})
	if err != nil {
		fmt.Printf("{\"skip\": %q}\n", "io_uring is refused: "+err.Error())
		return
	}
	writer, err := ring.FileReadWriter(file)
	if err != nil {
		die("%v", err)
	}
	block := make([]byte, size)
	blocks := uint32(fileBytes / size)
	meter := newMeter(64)
	number := uint32(0)
	for {
		if number%blocks == 0 {
			if _, err := writer.Seek(0, io.SeekStart); err != nil {
				die("%v", err)
			}
		}
		binary.LittleEndian.PutUint32(block, number)
		if written, err := writer.Write(block); err != nil || written != size {
			die("write %d returned %d, %v", number, written, err)
		}
		number++
		if !meter.tick(1) {
			break
		}
	}
	verify(file, number, size)
	perSecond, cpu := meter.figures()
	fmt.Printf("{\"value\": %.3f, \"unit\": \"op/s\", \"cpu\": %.3f}\n", perSecond, cpu)
}
