package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The list is no older than the program: each text stands in its file once, what is broken is still Go, and the tests exist.
func TestList(t *testing.T) {
	list := all()
	if len(list) < 40 {
		t.Errorf("%d mutations, want at least 40", len(list))
	}
	for _, err := range checkAll("../..", list) {
		t.Error(err)
	}
}

// sample is a module with a test that notices one thing and not the other.
var sample = map[string]string{
	"go.mod": "module sample\n\ngo 1.26\n",
	"x/x.go": "package x\n\nfunc Add(a, b int) int { return a + b }\n\nfunc Sub(a, b int) int { return a - b }\n",
	"x/x_test.go": `package x

import "testing"

func TestAdd(t *testing.T) {
	t.Run("small", func(t *testing.T) {
		if Add(1, 2) != 3 {
			t.Error("wrong")
		}
	})
}

func TestWrong(t *testing.T) { t.Error("always") }
`,
}

func sampleModule(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range sample {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// What is found, what survives, and what says nothing: and no file of the module is touched.
func TestLab(t *testing.T) {
	root := sampleModule(t)
	l, err := newLab(root, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOFLAGS", "") // of whoever runs this test
	found := mutation{what: "found", file: "x/x.go", old: "a + b", new: "a * b", pkg: "x", run: "^TestAdd$"}
	survives := mutation{what: "survives", file: "x/x.go", old: "a - b", new: "a + b", pkg: "x", run: "^TestAdd$"}
	for _, m := range []mutation{found, survives} {
		if err := l.whole(t.Context(), &m); err != nil {
			t.Errorf("%s: %v", m.what, err)
		}
	}
	if o := l.try(t.Context(), &found); o.verdict() != "TestAdd/small" {
		t.Errorf("%s, %v", o.verdict(), o.err)
	}
	if o := l.try(t.Context(), &survives); o.verdict() != "SURVIVED" {
		t.Errorf("%s, %v", o.verdict(), o.err)
	}
	no := mutation{what: "does not compile", file: "x/x.go", old: "a - b", new: "a - c", pkg: "x", run: "^TestAdd$"}
	if o := l.try(t.Context(), &no); o.verdict() != "ERROR" || !strings.Contains(o.err.Error(), "undefined: c") {
		t.Errorf("%s, %v", o.verdict(), o.err)
	}
	for run, want := range map[string]string{"^TestWrong$": "fails with nothing broken", "^TestNone$": "no test of x"} {
		if err := l.whole(t.Context(), &mutation{pkg: "x", run: run}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", run, err)
		}
	}
	for name, text := range sample {
		if b, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(b) != text {
			t.Errorf("%s was touched: %v", name, err)
		}
	}
	l.close()
	if _, err := os.Lstat(l.dir); err == nil {
		t.Error("the work folder is left")
	}
}

func TestOutOfDate(t *testing.T) {
	root := sampleModule(t)
	good := mutation{what: "good", file: "x/x.go", old: "a + b", new: "a * b", pkg: "x", run: "^TestAdd$/small"}
	if err := checkAll(root, []mutation{good}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(m *mutation){
		"no file":         func(m *mutation) { m.file = "x/y.go" },
		"not there":       func(m *mutation) { m.old = "a / b" },
		"there twice":     func(m *mutation) { m.old = "b int" },
		"nothing changes": func(m *mutation) { m.new = m.old },
		"no Go any more":  func(m *mutation) { m.new = "a + )" },
		"no such test":    func(m *mutation) { m.run = "^TestSub$" },
		"no such package": func(m *mutation) { m.pkg = "y" },
		"no pattern":      func(m *mutation) { m.run = "(" },
	} {
		bad := good
		change(&bad)
		if checkAll(root, []mutation{bad}) == nil {
			t.Errorf("%s: nobody noticed", name)
		}
	}
	if checkAll(root, []mutation{good, good}) == nil {
		t.Error("the same twice: nobody noticed")
	}
}

func TestFirstFailure(t *testing.T) {
	for out, want := range map[string]string{
		"--- PASS: TestA (0.0s)\n--- FAIL: TestB (0.1s)\n    --- PASS: TestB/x (0.0s)\n    --- FAIL: TestB/y (0.0s)\n--- FAIL: TestC (0.1s)\nFAIL\n": "TestB/y",
		"--- FAIL: TestB (0.1s)\npanic: no [recovered]\nFAIL\n":                                   "TestB",
		"goleak: Errors on successful test run: found unexpected goroutines\nFAIL\nexit status 1": "TestMain",
	} {
		if got := firstFailure([]byte(out)); got != want || timedOut([]byte(out)) {
			t.Errorf("%q: %s, want %s", out, got, want)
		}
	}
	for _, out := range []string{"=== RUN   TestA\npanic: test timed out after 1s\nFAIL\n", "=== RUN   TestA\n"} {
		if !timedOut([]byte(out)) {
			t.Errorf("%q is an answer", out)
		}
	}
}
