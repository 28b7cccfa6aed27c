package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// textOption is the argument name=..., which is required.
func textOption(name string) string {
	for _, argument := range os.Args[1:] {
		if key, value, found := strings.Cut(argument, "="); found && key == name {
			return value
		}
	}
	die("the option %s=... is missing", name)
	return ""
}

// numberOption is the argument name=..., or fallback when there is one above 0.
func numberOption(name string, fallback float64) float64 {
	if fallback > 0 {
		given := false
		for _, argument := range os.Args[1:] {
			given = given || strings.HasPrefix(argument, name+"=")
		}
		if !given {
			return fallback
		}
	}
	value, err := strconv.ParseFloat(textOption(name), 64)
	if err != nil {
		die("the option %s must be a number", name)
	}
	return value
}

const (
	idle = iota
	warmingUp
	measuring
	over
)

// meter counts work inside a timed window after a warm-up; see bench/subjects/support/meter.ts.
type meter struct {
	warmup, window          time.Duration
	stride, count, nextLook uint64
	startCount              uint64
	startTime, deadline     time.Time
	startCPU, cpu, elapsed  time.Duration
	phase                   int
}

func newMeter(stride uint64) *meter {
	seconds := func(name string, fallback float64) time.Duration {
		return time.Duration(numberOption(name, fallback) * float64(time.Second))
	}
	return &meter{stride: stride, warmup: seconds("warmup", 0.3), window: seconds("window", 0.5)}
}

// tick counts units; false when the window is over.
func (m *meter) tick(units uint64) bool {
	m.count += units
	if m.count < m.nextLook {
		return true
	}
	m.nextLook = m.count + m.stride
	now := time.Now()
	switch {
	case m.phase == idle:
		m.phase, m.deadline = warmingUp, now.Add(m.warmup)
	case now.Before(m.deadline):
	case m.phase == warmingUp:
		m.phase, m.deadline = measuring, now.Add(m.window)
		m.startTime, m.startCount, m.startCPU = now, m.count, cpuTime()
	default:
		m.phase, m.elapsed, m.cpu = over, now.Sub(m.startTime), cpuTime()-m.startCPU
	}
	return m.phase != over
}

// figures are the units a second, and the nanoseconds of user and system time of each.
func (m *meter) figures() (perSecond, cpu float64) {
	units := float64(m.count - m.startCount)
	return units / m.elapsed.Seconds(), float64(m.cpu.Nanoseconds()) / units
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		die("%v", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
