package keychain

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"syscall"
	"time"
)

// Runner runs a program to its end with stdin as its whole standard input. A program that ended with another status
// than 0 is no error; one that could not be started is, matching fs.ErrNotExist if it is not there, and so is one that
// ctx ended, matching the error of ctx.
type Runner func(ctx context.Context, stdin []byte, name string, args ...string) (Result, error)

// Result is how a program ended.
type Result struct {
	Exit   int
	Stderr []byte // at most 64 KiB
}

const maxStderr = 64 << 10

// Run is the Runner that runs. The program gets a session of its own and thereby no terminal: a prompt for a password
// then reads standard input instead.
func Run(ctx context.Context, stdin []byte, name string, args ...string) (Result, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	stderr := new(head)
	cmd.Dir, cmd.Stdin, cmd.Stderr = "/", bytes.NewReader(stdin), stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // for a child of its own that holds its output open
	err := cmd.Run()
	if ctx.Err() != nil {
		return Result{}, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Result{}, err
	}
	return Result{cmd.ProcessState.ExitCode(), stderr.kept}, nil
}

// head keeps the first bytes written to it.
type head struct{ kept []byte }

func (h *head) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), maxStderr-len(h.kept))]...)
	return len(p), nil
}
