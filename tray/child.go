package tray

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"maia-dr/tray/menu"
)

// job is a run that this menu started.
type job struct {
	pid  int
	stop func() // asks it to stop; safe to call after its end
}

const (
	jobLog = "menu-job.log"
	// maxSaid is how much of a child's complaint is kept.
	maxSaid = 4 << 10
)

// startJob starts a command of this program as a process of its own session: signals to the menu do not reach it, and it
// outlives the menu. What it has to say goes into a file, because a pipe would break with the menu, and it with the
// pipe. ended is called once, from another goroutine, with the exit code (-1: killed) and the last line it wrote.
func startJob(o *Options, args []string, ended func(exit int, said string)) (*job, error) {
	path := filepath.Join(o.StateDir, "log", jobLog)
	if err := o.FS.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := o.FS.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	out, err := o.FS.Create(path, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := o.command(context.Background(), args)
	cmd.Stdout, cmd.Stderr = out.File, out.File
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		ended(cmd.ProcessState.ExitCode(), lastLine(path))
	}()
	return &job{pid: cmd.Process.Pid, stop: func() { _ = cmd.Process.Signal(syscall.SIGTERM) }}, nil
}

// command is this program with its flags and the arguments, connected to nothing.
func (o *Options) command(ctx context.Context, args []string) *exec.Cmd {
	return exec.CommandContext(ctx, o.Program, append(append([]string{}, o.Flags...), args...)...)
}

// lastLine returns the last line of a file that says anything.
func lastLine(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.Size() > maxSaid {
		if _, err := f.Seek(-maxSaid, io.SeekEnd); err != nil {
			return ""
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSaid))
	if err != nil {
		return ""
	}
	said := ""
	for line := range strings.Lines(string(b)) {
		// The remedy comes after what it is for.
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "what to do:") {
			said = strings.TrimPrefix(line, "maia-dr: ")
		}
	}
	return said
}

// runLimit is how long a command that is waited for may take.
const runLimit = time.Minute

// runQuietly runs a command of this program and waits for it.
func runQuietly(ctx context.Context, o *Options, args ...string) (stdout []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	cmd := o.command(ctx, args)
	out, err := cmd.Output()
	var ee *exec.ExitError
	if errors.As(err, &ee) && len(ee.Stderr) > 0 {
		line, _, _ := strings.Cut(strings.TrimPrefix(string(ee.Stderr), "maia-dr: "), "\n")
		return out, errors.New(menu.Clean(line, maxSaid))
	}
	return out, err
}

// openPath shows a file or folder with the program the desktop has for it.
func openPath(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	return exec.CommandContext(ctx, opener, path).Run()
}

// terminalScript is a shell script that runs this program with args in a terminal, and stays until it has been read.
func terminalScript(o *Options, args []string) string {
	var b strings.Builder
	b.WriteString("#!/bin/bash\nclear\n")
	for _, a := range append(append([]string{o.Program}, o.Flags...), args...) {
		b.WriteString(quote(a) + " ")
	}
	b.WriteString("\ncode=$?\nprintf '\\nPress Return to close this window. '\nread -r _\nexit $code\n")
	return b.String()
}

// quote writes an argument as the shell reads it.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// inTerminal runs a command of this program in a terminal window. The script it needs stays in the state directory, one
// for each command.
func inTerminal(ctx context.Context, o *Options, args []string) error {
	dir := filepath.Join(o.StateDir, "terminal")
	if err := o.FS.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, "maia-dr "+args[0]+".command")
	if err := o.FS.WriteAtomic(path, 0o700, []byte(terminalScript(o, args))); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	return terminal(ctx, path)
}
