package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
	values := []float64{3, 1, 2}
	if median(values); values[0] != 3 {
		t.Error("median sorts what it was given")
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 0.0084: "0.008", 0.0996: "0.10", 0.25: "0.25", 9.994: "9.99", 9.996: "10.0", 99.94: "99.9", 99.96: "100", 1709.4: "1709"} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) is %q, want %q", v, got, want)
		}
	}
	if got := ratio(3, 2); got != " (1.50×)" {
		t.Errorf("ratio is %q", got)
	}
	if got := ratio(3, 0) + ratio(0, 3); got != "" {
		t.Errorf("a ratio of the unknown is %q", got)
	}
}

func TestListing(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listed := func() listing {
		t.Helper()
		l, err := list(dir)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	write("same", "12345")
	write("grows", "1")
	write("goes", "1")
	before := listed()
	write("grows", "123")
	write("new", "1234567")
	if err := os.Remove(filepath.Join(dir, "goes")); err != nil {
		t.Fatal(err)
	}
	after := listed()
	if files, n := after.since(before); files != 2 || n != 10 {
		t.Errorf("%d files of %d bytes are new or changed, want 2 of 10", files, n)
	}
	if n := after.bytes(); n != 15 {
		t.Errorf("%d bytes, want 15", n)
	}
	if missing, err := list(filepath.Join(dir, "missing")); err != nil || len(missing) > 0 {
		t.Errorf("a missing folder: %v, %v", missing, err)
	}
}

// TestMeasure uses children of the shell: time, memory and secrets are theirs.
func TestMeasure(t *testing.T) {
	sh := func(script string, c command) (run, string, error) {
		c.args = []string{"/bin/sh", "-c", script}
		r, out, err := measure(t.Context(), c)
		return r, string(out), err
	}
	r, out, err := sh(`i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done & wait; cat /dev/fd/3; echo "$NAME in $PWD"`,
		command{dir: "/", env: []string{"NAME=value", "PATH=" + stockPath}, secret: "sealed"})
	if err != nil || out != "sealed\nvalue in /\n" {
		t.Errorf("it said %q, %v", out, err)
	}
	if r.CPU <= 0 || r.Seconds <= 0 || r.RSS < 100<<10 || r.RSS > 1<<30 {
		t.Errorf("it took %+v", r)
	}
	if _, _, err := sh("exit 3", command{exits: []int{3}}); err != nil {
		t.Errorf("an exit code that is no failure: %v", err)
	}
	_, _, err = sh("echo first words "+strings.Repeat("x", 2000)+" last words >&2; exit 4", command{exits: []int{3}})
	if err == nil || !strings.Contains(err.Error(), "exit status 4") || !strings.Contains(err.Error(), "last words") || strings.Contains(err.Error(), "first words") {
		t.Errorf("a failure: %v", err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	w := &tail{limit: 100}
	for range 1000 {
		if _, err := w.Write([]byte("0123456789")); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.b) < 100 || len(w.b) > 200 || !bytes.HasSuffix(w.b, []byte("0123456789")) {
		t.Errorf("%d bytes are kept", len(w.b))
	}
}

func TestSummaryLine(t *testing.T) {
	l, err := lastLine([]byte("{\"event\":\"phase\"}\n{\"event\":\"summary\",\"new_chunks\":2,\"published_s\":0.75}\n"))
	if err != nil || l.NewChunks != 2 || l.Commit != 0.75 {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err = lastLine([]byte(`{"new_chunks":1}`)); err != nil || l.Commit != 0 || l.NewChunks != 1 {
		t.Errorf("a program that does not say it: %+v, %v", l, err)
	}
	if _, err := lastLine([]byte("Backup is complete")); err == nil {
		t.Error("what is no JSON is decoded")
	}
	if got := (run{Seconds: 2, Commit: 1.5}).toCommit(); got != 1.5 {
		t.Errorf("to the commit: %v", got)
	}
	if got := (run{Seconds: 2}).toCommit(); got != 2 {
		t.Errorf("not told apart: %v", got)
	}
}

func TestCommandNamesNoFolder(t *testing.T) {
	for _, c := range []struct {
		o    options
		want string
	}{
		{options{runs: 5, days: 22, work: "/somewhere", json: "/else"}, "make bench"},
		{options{runs: 1, days: 2, quick: true}, "go run ./packaging/bench -quick"},
		{options{runs: 3, days: 22, curved: true, year: 360}, "go run ./packaging/bench -runs 3 -days 22 -curves -year 360"},
	} {
		if got := c.o.command(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestWorkFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "work")
	if got, err := makeWork(dir); err != nil || got != dir {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := makeWork(dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder with things in it, to be removed at the end: %v", err)
	}
}

func TestQuickWritesNoDocument(t *testing.T) {
	o := options{quick: true, save: true, log: t.Logf}
	if err := o.main(t.Context()); err == nil || !strings.Contains(err.Error(), "-update") {
		t.Errorf("%v", err)
	}
}

func TestMachine(t *testing.T) {
	got := machine(t.Context())
	if !strings.Contains(got, runtime.Version()) || !strings.Contains(got, "cores") || strings.HasPrefix(got, "unknown") {
		t.Errorf("the machine is %q", got)
	}
	if v := field("a\t: b\nmodel name\t: X: Y\nmodel name : Z\n", "model name", "?"); v != "X: Y" {
		t.Errorf("field is %q", v)
	}
	if v := field("a: b", "c", "?"); v != "?" {
		t.Errorf("a missing field is %q", v)
	}
}

func TestDocuments(t *testing.T) {
	document := "# Title\n\n" + beginMark + "\nold\n" + endMark + "\n\nthe rest\n"
	got, err := replaceBetween(document, "new\n")
	if want := "# Title\n\n" + beginMark + "\n\nnew\n\n" + endMark + "\n\nthe rest\n"; err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	if again, err := replaceBetween(got, "new\n"); err != nil || again != got {
		t.Errorf("the same again changes it: %q, %v", again, err)
	}
	got, err = prependBetween(document, "newer")
	if want := "# Title\n\n" + beginMark + "\n\nnewer\n\nold\n\n" + endMark + "\n\nthe rest\n"; err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"", "no marks\n", endMark + "\n" + beginMark + "\n", beginMark + "\n"} {
		if _, err := replaceBetween(bad, "x"); !errors.Is(err, errNoMarks) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestUpdate: README.md has no marks; the history is written all the same, and the error says what to do.
func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{"README.md": "# Read me\n", "docs/benchmarks.md": beginMark + "\n" + endMark + "\n"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if problems := lacking(); len(problems) != 1 || !errors.Is(problems[0], errNoMarks) || !strings.Contains(problems[0].Error(), "README.md") {
		t.Errorf("before measuring: %v", problems)
	}
	r := sampleReport()
	err := update(r, "Chunks compress side by side.")
	if !errors.Is(err, errNoMarks) || !strings.Contains(err.Error(), "README.md") || strings.Contains(err.Error(), "benchmarks.md") {
		t.Errorf("%v", err)
	}
	b, err := os.ReadFile("docs/benchmarks.md")
	if err != nil || !strings.Contains(string(b), "### 2026-01-02\n\nChunks compress side by side.\n") || !strings.Contains(string(b), "| restic |") {
		t.Errorf("%s, %v", b, err)
	}
}
