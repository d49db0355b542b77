package component

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script makes a shell script that can be run.
func script(t testing.TB, path, body string) string {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755))
	return path
}

func environment(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func TestRunnerGivesACleanPlace(t *testing.T) {
	t.Setenv("SECRET_OF_OURS", "hunter2")
	dir := t.TempDir()
	tool := script(t, filepath.Join(dir, "tool"), `pwd; cat; echo "args: $*"; env`)
	run := NewRunner("/h", environment(map[string]string{"PATH": dir + ":/usr/bin:/bin", "USER": "u", "MAIA_ROOT": "/x"}))
	for _, name := range []string{tool, "tool"} {
		out, err := run(t.Context(), name, "a b", "$(c)")
		must(t, err)
		text := string(out)
		if !strings.HasPrefix(text, "/\nargs: a b $(c)\n") {
			t.Errorf("it ran elsewhere, or read something: %q", text)
		}
		for _, want := range []string{
			"HOME=/h", "USER=u", "PATH=" + dir + ":/usr/bin:/bin", "PIP_DISABLE_PIP_VERSION_CHECK=1", "HOMEBREW_NO_AUTO_UPDATE=1", "NONINTERACTIVE=1",
			"GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "PYTHONDONTWRITEBYTECODE=1",
		} {
			if !strings.Contains(text, want+"\n") {
				t.Errorf("no %s in %q", want, text)
			}
		}
		if strings.Contains(text, "hunter2") || strings.Contains(text, "MAIA_ROOT") {
			t.Errorf("our environment is in %q", text)
		}
	}
}

func TestRunnerErrors(t *testing.T) {
	dir := t.TempDir()
	run := NewRunner("/h", environment(map[string]string{"PATH": "relative::" + dir}))
	for _, name := range []string{"none", "/nowhere/none", script(t, dir+"/status127", "exit 127")} {
		if _, err := run(t.Context(), name); !absent(err) {
			t.Errorf("%s: %v is not absent", name, err)
		}
	}
	must(t, os.Symlink(dir+"/gone", dir+"/dangling"))
	must(t, os.WriteFile(dir+"/orphan", []byte("#!/nowhere/sh\n"), 0o755))
	for _, name := range []string{"/nowhere/none", dir + "/dangling", dir + "/orphan"} {
		if _, err := run(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := run(t.Context(), dir+"/orphan/none"); err == nil || absent(err) {
		t.Errorf("in a file: %v", err)
	}
	must(t, os.WriteFile(dir+"/noexec", []byte("#!/bin/sh\n"), 0o644))
	if _, err := run(t.Context(), "noexec"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("not executable, by name: %v", err)
	}
	if _, err := run(t.Context(), dir+"/noexec"); err == nil || absent(err) {
		t.Errorf("not executable: %v", err)
	}
	fail := script(t, dir+"/fail", `echo out; echo "cannot reach https://u:hunter2@example.org" >&2; echo more >&2; exit 3`)
	_, err := run(t.Context(), fail)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(err.Error(), "cannot reach https://example.org") || strings.Contains(err.Error(), "more") {
		t.Errorf("failing: %v", err)
	}
	if out, err := run(t.Context(), script(t, dir+"/chatty", "i=0; while [ $i -lt 3000 ]; do echo complaint >&2; i=$((i+1)); done; echo done")); err != nil || string(out) != "done\n" {
		t.Errorf("many complaints: %q, %v", out, err)
	}
	if _, err := run(t.Context(), script(t, dir+"/flood", "while :; do exec /usr/bin/yes; done")); !errors.Is(err, errOutput) {
		t.Errorf("endless output: %v", err)
	}
}

// TestRunnerKillsAll ends a tool with the children it made, at its time limit and after it.
func TestRunnerKillsAll(t *testing.T) {
	dir := t.TempDir()
	run := NewRunner("/h", environment(map[string]string{"PATH": "/usr/bin:/bin"}))
	hang := script(t, dir+"/hang", fmt.Sprintf(`sleep 600 & echo $! > %s/child; wait`, dir))
	leave := script(t, dir+"/leave", fmt.Sprintf(`sleep 600 & echo $! > %s/child; echo done`, dir))
	for name, c := range map[string]struct {
		tool string
		want error
	}{"hangs": {hang, context.DeadlineExceeded}, "leaves a child": {leave, nil}} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		start := time.Now()
		out, err := run(ctx, c.tool)
		cancel()
		if !errors.Is(err, c.want) || err == nil && string(out) != "done\n" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
		b, err := os.ReadFile(dir + "/child")
		must(t, err)
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		must(t, err)
		if !gone(pid) {
			t.Errorf("%s: its child lives on", name)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := run(cancelled, hang); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// gone waits for a process to end. One that nobody waits for is a zombie, which has ended.
func gone(pid int) bool {
	for range 100 {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return true
		}
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(b), ") Z ") {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

func TestRedactURLs(t *testing.T) {
	for in, want := range map[string]string{
		"https://u:p@h/x": "https://h/x", "https://token@h": "https://h", "ssh://git@h/x": "ssh://git@h/x", "git@github.com:x/y": "git@github.com:x/y",
		"a @ git+https://u:p@h/x.git@v1": "a @ git+https://h/x.git@v1", "https://u:p@ss@h/x": "https://h/x", "file:///a/b@c": "file:///a/b@c",
		"git+https://${USER}:${TOKEN}@h/x": "git+https://${USER}:${TOKEN}@h/x", "https://h/a@b": "https://h/a@b", "": "",
		"tap \"x/y\", \"https://tok@h/y\" # https://a:b@c": "tap \"x/y\", \"https://h/y\" # https://c", "https://$A:b@h": "https://h",
	} {
		if got := string(RedactURLs([]byte(in))); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
