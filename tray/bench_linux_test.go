package tray_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var idleFor = flag.Duration("idle", 10*time.Second, "how long BenchmarkIdle lets the menu be; the goal is for 10m")

// used returns what a process has used: CPU time, and memory at its end and at its most.
func used(t testing.TB, pid int) (cpu time.Duration, now, most int64) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// After the name, which may hold anything: user and system time are the 12th and 13th, in hundredths of a second.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, f := range fields[11:13] {
		ticks, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		cpu += time.Duration(ticks) * 10 * time.Millisecond
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb); n == 1 {
			now = kb << 10
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
			most = kb << 10
		}
	}
	return cpu, now, most
}

// BenchmarkIdle lets the menu of a sample with one backup be, while the status changes once a minute, and says what it
// used of the processor and of memory:
//
//	go test ./tray -run '^$' -bench Idle -benchtime 1x -idle 10m
func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		s := startSession(b)
		s.startPanel()
		if exit, out := s.cli("backup", "--quiet"); exit != 3 {
			b.Fatal(exit, out)
		}
		a := s.start(s.env)
		s.wait("the backup is seen", func() bool { return a.shows("Recent Backups") })
		status, err := os.ReadFile(filepath.Join(s.state, "status.json"))
		if err != nil {
			b.Fatal(err)
		}
		before, _, _ := used(b, a.cmd.Process.Pid)
		minute, end := time.NewTicker(time.Minute), time.After(*idleFor)
		defer minute.Stop()
		for changes := 0; ; {
			select {
			case <-minute.C:
				changes++
				write(b, filepath.Join(s.state, "status.json"), string(status))
				continue
			case <-end:
			}
			cpu, now, most := used(b, a.cmd.Process.Pid)
			b.ReportMetric((cpu - before).Seconds(), "cpu_s")
			b.ReportMetric(before.Seconds(), "start_cpu_s")
			b.ReportMetric(float64(now)/1e6, "memory_MB")
			b.ReportMetric(float64(most)/1e6, "most_memory_MB")
			b.ReportMetric(float64(changes), "changes")
			break
		}
	}
}

// BenchmarkChanges makes 10,000 changes of the state by clicks, each drawn, and says how much memory grew after the first
// thousand:
//
//	go test ./tray -run '^$' -bench Changes -benchtime 1x
func BenchmarkChanges(b *testing.B) {
	for b.Loop() {
		s := startSession(b)
		s.startPanel()
		a := s.start(s.env)
		rows := [2]string{"For 1 Hour", "Resume"}
		shown := [2]string{"Backups Are Paused", "Pause Backups"}
		var first int64
		for n := range 10000 {
			a.click(rows[n%2])
			s.wait("the click is heard", func() bool { return a.shows(shown[n%2]) })
			if n == 1000 {
				_, first, _ = used(b, a.cmd.Process.Pid)
			}
		}
		cpu, last, _ := used(b, a.cmd.Process.Pid)
		b.ReportMetric(float64(first)/1e6, "after_1000_MB")
		b.ReportMetric(float64(last)/1e6, "after_10000_MB")
		b.ReportMetric(cpu.Seconds(), "cpu_s")
	}
}
