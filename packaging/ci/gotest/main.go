// Command gotest runs go test with the given arguments and fails if a test
// was skipped: a test that did not run has not passed. It prints go test's own
// summary, the whole output of what failed, and at the end a count and the
// tests that took longest. Files of a package without tests are not a skipped
// test.
//
//	go run ./packaging/ci/gotest -race ./...
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("gotest: ")
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		log.Fatalf("run go test: %v", err)
	}
	if err := cmd.Start(); err != nil {
		log.Fatalf("run go test: %v", err)
	}
	s, readErr := summarize(out, os.Stdout)
	err = cmd.Wait()
	s.print(os.Stdout)
	if err := errors.Join(readErr, err, s.verdict()); err != nil {
		log.Fatal(err)
	}
}

// event is a line of go test -json; see "go doc test2json".
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds, of a test or package that ended
}

// slowest is how many of the tests that took longest are named.
const slowest = 15

// summary counts tests and subtests.
type summary struct {
	packages int // that have tests and passed
	passed   int
	failed   []string
	skipped  []string
	took     []timed // top-level tests that passed
}

type timed struct {
	name    string
	seconds float64
}

// summarize reads go test -json and writes what go test would have printed.
func summarize(r io.Reader, w io.Writer) (*summary, error) {
	s := new(summary)
	held := make(map[string][]string) // output of tests that are still running
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			s.add(line, held, w)
		}
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return s, fmt.Errorf("read go test: %w", err)
		}
	}
}

func (s *summary) add(line string, held map[string][]string, w io.Writer) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
		fmt.Fprint(w, line) // not an event: a message of the go command
		return
	}
	name := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(w, e.Output)
	case "output":
		switch {
		case e.Test != "":
			held[name] = append(held[name], e.Output)
		case e.Output != "PASS\n":
			fmt.Fprint(w, e.Output)
		}
	case "pass":
		delete(held, name)
		if e.Test != "" {
			s.passed++
			if !strings.Contains(e.Test, "/") {
				s.took = append(s.took, timed{name, e.Elapsed})
			}
		} else {
			s.packages++
		}
	case "fail":
		s.flush(held, name, w)
		s.failed = append(s.failed, strings.TrimSpace(name))
	case "skip":
		if e.Test != "" {
			s.flush(held, name, w)
			s.skipped = append(s.skipped, name)
		}
	}
}

// flush prints what a test said. A test that never ended (a panic, a time
// limit) has its package fail after it: then everything held of the package is
// printed.
func (s *summary) flush(held map[string][]string, name string, w io.Writer) {
	names := []string{name}
	if strings.HasSuffix(name, " ") {
		for n := range held {
			if strings.HasPrefix(n, name) {
				names = append(names, n)
			}
		}
	}
	slices.Sort(names)
	for _, n := range names {
		fmt.Fprint(w, strings.Join(held[n], ""))
		delete(held, n)
	}
}

func (s *summary) print(w io.Writer) {
	slices.SortFunc(s.took, func(a, b timed) int { return cmp.Compare(b.seconds, a.seconds) })
	for _, t := range s.took[:min(slowest, len(s.took))] {
		fmt.Fprintf(w, "%7.1f s  %s\n", t.seconds, t.name)
	}
	for _, name := range s.skipped {
		fmt.Fprintf(w, "skipped: %s\n", name)
	}
	for _, name := range s.failed {
		fmt.Fprintf(w, "failed: %s\n", name)
	}
	fmt.Fprintf(w, "%d tests in %d packages passed, %d failed, %d skipped\n", s.passed, s.packages, len(s.failed), len(s.skipped))
}

// verdict is what go test itself does not count as a failure.
func (s *summary) verdict() error {
	switch {
	case len(s.skipped) > 0:
		return fmt.Errorf("%d skipped tests: a skipped test is a failure", len(s.skipped))
	case len(s.failed) > 0:
		return fmt.Errorf("%d failed tests", len(s.failed))
	case s.passed == 0:
		return errors.New("no test ran")
	}
	return nil
}
