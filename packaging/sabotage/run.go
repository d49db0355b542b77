package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"maia-dr/engine/fsx"
)

// lab builds and runs tests of a module, broken or not. No source file is touched: the go command is told to read another one
// in its place (its -overlay), also by the tests that build something themselves.
type lab struct {
	root  string // of the module
	dir   string // for what is made here
	limit time.Duration
	fs    *fsx.FS
	// programs are the tests of packages with nothing broken, passed what came of those that were run.
	programs map[string]string
	passed   map[string]error
}

func newLab(root string, limit time.Duration) (*lab, error) {
	l := &lab{root: root, limit: limit, fs: new(fsx.FS), programs: map[string]string{}, passed: map[string]error{}}
	var err error
	l.dir, err = l.fs.MkdirTemp("", "sabotage-")
	return l, err
}

func (l *lab) close() { _ = l.fs.RemoveAll(l.dir) }

// outcome is what came of one mutation.
type outcome struct {
	*mutation
	found   string // the first test that failed; "" with no err: it survived
	seconds float64
	// err says that nothing was tried: the list is wrong, or the tests fail anyway.
	err error
}

// verdict says in a word how it went.
func (o *outcome) verdict() string {
	switch {
	case o.err != nil:
		return "ERROR"
	case o.found == "":
		return "SURVIVED"
	}
	return o.found
}

// try breaks the program in one place and runs the tests that should notice.
func (l *lab) try(ctx context.Context, m *mutation) outcome {
	began := time.Now()
	o := outcome{mutation: m}
	o.found, o.err = l.broken(ctx, m)
	o.seconds = time.Since(began).Seconds()
	return o
}

func (l *lab) broken(ctx context.Context, m *mutation) (string, error) {
	text, err := m.apply(l.root)
	if err != nil {
		return "", err
	}
	real, err := filepath.Abs(filepath.Join(l.root, filepath.FromSlash(m.file)))
	if err != nil {
		return "", err
	}
	fake, overlay := filepath.Join(l.dir, "broken"+filepath.Ext(m.file)), filepath.Join(l.dir, "overlay.json")
	names, err := json.Marshal(map[string]map[string]string{"Replace": {real: fake}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(l.fs.WriteAtomic(fake, 0o600, []byte(text)), l.fs.WriteAtomic(overlay, 0o600, names)); err != nil {
		return "", err
	}
	env := append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	program := filepath.Join(l.dir, "test")
	if err := l.build(ctx, program, m.pkg, env); err != nil {
		return "", err
	}
	out, err := l.run(ctx, program, m, env)
	if cerr := ctx.Err(); cerr != nil {
		return "", cerr
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "", nil
	case !errors.As(err, &exit):
		return "", err
	case timedOut(out) && m.hang:
		return m.run + ", ended", nil
	case timedOut(out):
		return "", fmt.Errorf("the tests were ended after %v, and say nothing", l.limit)
	}
	return firstFailure(out), nil
}

// whole runs the tests with nothing broken: a test that fails anyway notices nothing. The same tests are run once.
func (l *lab) whole(ctx context.Context, m *mutation) error {
	key := fmt.Sprint(m.pkg, " ", m.run, m.full)
	err, done := l.passed[key]
	if !done {
		err = l.runWhole(ctx, m)
		l.passed[key] = err
	}
	return err
}

func (l *lab) runWhole(ctx context.Context, m *mutation) error {
	program, ok := l.programs[m.pkg]
	if !ok {
		program = filepath.Join(l.dir, fmt.Sprintf("test-%d", len(l.programs)))
		if err := l.build(ctx, program, m.pkg, os.Environ()); err != nil {
			return err
		}
		l.programs[m.pkg] = program
	}
	out, err := l.run(ctx, program, m, os.Environ())
	switch {
	case err != nil:
		return fmt.Errorf("%s fails with nothing broken: %w\n%s", m.run, err, tail(out))
	case !bytes.Contains(out, []byte("--- PASS: ")):
		return fmt.Errorf("%s: no test of %s is called so", m.run, m.pkg)
	}
	return nil
}

func (l *lab) build(ctx context.Context, program, pkg string, env []string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags=-w", "-o", program, "./"+pkg)
	cmd.Dir, cmd.Env = l.root, env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("it does not compile: %w\n%s", err, tail(out))
	}
	return nil
}

// hangLimit is the limit where nothing is to be expected but that it is reached.
const hangLimit = 30 * time.Second

func (l *lab) run(ctx context.Context, program string, m *mutation, env []string) ([]byte, error) {
	limit := l.limit
	if m.hang {
		limit = min(limit, hangLimit)
	}
	// The limit is the test's own; one that does not keep it is ended.
	ctx, cancel := context.WithTimeout(ctx, limit+time.Minute)
	defer cancel()
	args := []string{"-test.v", "-test.failfast", "-test.timeout=" + limit.String(), "-test.run=" + m.run}
	if m.full {
		args = append(args, "-full")
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = filepath.Join(l.root, filepath.FromSlash(m.pkg)), env
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.Bytes(), err
}

func timedOut(out []byte) bool {
	return bytes.Contains(out, []byte("panic: test timed out")) || !bytes.Contains(out, []byte("--- FAIL: ")) && !bytes.Contains(out, []byte("\nFAIL"))
}

var failure = regexp.MustCompile(`(?m)^( *)--- FAIL: (\S+)`)

// firstFailure names the first test that failed, and within it the first subtest. Without any, the package's TestMain has
// complained: of a goroutine that was left behind, for one.
func firstFailure(out []byte) string {
	name := ""
	for _, f := range failure.FindAllSubmatch(out, -1) {
		if name != "" && !strings.HasPrefix(string(f[2]), name+"/") {
			break
		}
		name = string(f[2])
	}
	if name == "" {
		return "TestMain"
	}
	return name
}

// tail is the end of an output, which says most.
func tail(out []byte) string {
	const most = 2000
	return string(bytes.TrimSpace(out[max(0, len(out)-most):]))
}

// table prints the outcomes as a document has them.
func table(w io.Writer, outcomes []outcome) {
	fmt.Fprintln(w, "| | place | what is broken | found by | s |\n|--:|---|---|---|--:|")
	for i, o := range outcomes {
		fmt.Fprintf(w, "| %d | `%s` | %s | %s | %.0f |\n", i+1, o.file, o.what, code(o.verdict()), o.seconds)
	}
}

// code marks the name of a test, in which a table's bar must not stand.
func code(s string) string { return "`" + strings.ReplaceAll(s, "|", "/") + "`" }
