package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// command is one process to be measured, with all that it starts and waits for.
type command struct {
	args []string
	dir  string   // where it runs; empty: here
	env  []string // its whole environment
	// secret is handed over on file descriptor 3.
	secret string
	// exits are the exit codes that are no failure; none: 0 alone.
	exits []int
}

// run is what one command took.
type run struct {
	Seconds float64 `json:"seconds"`
	// CPU is user and system time of the process and of all its descendants that were waited for, in seconds.
	CPU float64 `json:"cpu_seconds"`
	// RSS is the largest resident set of any one of these processes, in bytes.
	RSS int64 `json:"peak_rss_bytes"`
	// Commit is the time in seconds until a backup is complete; 0: it is only known as a whole.
	Commit float64 `json:"commit_seconds,omitempty"`
	// AddedBytes and AddedFiles are what is new or changed in the repository afterwards, as an uploader sees it.
	AddedBytes int64 `json:"added_bytes,omitempty"`
	AddedFiles int   `json:"added_files,omitempty"`
	// Chunks are the new chunk files that the program itself counted.
	Chunks int `json:"new_chunks,omitempty"`
	// StoredBytes is the size of the repository afterwards.
	StoredBytes int64 `json:"stored_bytes,omitempty"`
}

// toCommit is the time until a backup is complete.
func (r run) toCommit() float64 {
	if r.Commit > 0 {
		return min(r.Commit, r.Seconds)
	}
	return r.Seconds
}

// stdoutLimit and stderrShown bound what is kept of a command's output, in bytes.
const (
	stdoutLimit = 1 << 20
	stderrShown = 600
)

// tail keeps the last bytes written to it.
type tail struct {
	b     []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 2*t.limit {
		t.b = slices.Clone(t.b[len(t.b)-t.limit:])
	}
	return len(p), nil
}

// measure runs the command to its end and returns what it took and the end of its standard output.
//
// A new process begins with the peak of the memory of the one that started it, which therefore has to stay small: what
// needs memory here (making the fixture) is done by children of their own.
func measure(ctx context.Context, c command) (run, []byte, error) {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Env = c.dir, c.env
	stdout, stderr := &tail{limit: stdoutLimit}, &tail{limit: 16 << 10}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if c.secret != "" {
		r, w, err := os.Pipe()
		if err != nil {
			return run{}, nil, fmt.Errorf("make pipe: %w", err)
		}
		defer r.Close()
		_, err = w.WriteString(c.secret + "\n") // far smaller than a pipe's buffer
		if err = errors.Join(err, w.Close()); err != nil {
			return run{}, nil, fmt.Errorf("write to pipe: %w", err)
		}
		cmd.ExtraFiles = []*os.File{r}
	}
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	out := stdout.b
	var failed *exec.ExitError
	if errors.As(err, &failed) && slices.Contains(c.exits, failed.ExitCode()) {
		err = nil
	}
	if err != nil {
		text := strings.TrimSpace(string(stderr.b))
		if len(text) > stderrShown {
			text = "…" + strings.ToValidUTF8(text[len(text)-stderrShown:], "")
		}
		return run{}, out, fmt.Errorf("%s: %w: %s", strings.Join(c.args[:min(2, len(c.args))], " "), err, text)
	}
	state := cmd.ProcessState
	return run{Seconds: took.Seconds(), CPU: (state.UserTime() + state.SystemTime()).Seconds(), RSS: peakRSS(state)}, bytes.Clone(out), nil
}

// peakRSS is the largest resident set of a process and its descendants, in bytes; see getrusage(2): Linux counts in
// kilobytes, macOS in bytes.
func peakRSS(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return usage.Maxrss
	}
	return usage.Maxrss * 1024
}

// flush writes out what earlier steps left in the system's buffers, so that the next one does not pay for it.
func flush() { syscall.Sync() }
