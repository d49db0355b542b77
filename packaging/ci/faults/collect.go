package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"maia-dr/packaging/ci/faults/matrix"
)

// counts are the faults of a row.
type counts struct{ injected, survived int }

// result is what came of a run.
type result struct {
	rows   map[string]counts
	failed []string
}

func newResult() *result { return &result{rows: map[string]counts{}} }

// event is a line of go test -json; see "go doc test2json".
type event struct {
	Action, Package, Test, Output, Key, Value string
}

// runPackage runs the tests of one package and adds what they count. What a failed test said is written to w.
func (r *result) runPackage(p part, quick bool, w io.Writer) error {
	args := []string{"test", "-json", "-count=1", "-timeout=12h", "-run", "^(" + strings.Join(p.tests, "|") + ")$"}
	if quick {
		args = append(args, "./"+p.dir)
	} else {
		// The tag brings in what not every machine allows to a user: mounts.
		args = append(args, "-tags=faults", "./"+p.dir, "-args", "-full")
	}
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	readErr := r.collect(out, w)
	err = cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		err = nil // what failed has been read
		if len(r.failed) == 0 {
			r.failed = append(r.failed, p.dir)
		}
	}
	return errors.Join(readErr, err)
}

// collect reads go test -json.
func (r *result) collect(in io.Reader, w io.Writer) error {
	held := map[string][]string{}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			if err := r.add(line, held, w); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read go test: %w", err)
		}
	}
}

func (r *result) add(line string, held map[string][]string, w io.Writer) error {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
		fmt.Fprint(w, line) // a message of the go command
		return nil          //nolint:nilerr // see above
	}
	name := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(w, e.Output)
	case "output":
		held[name] = append(held[name], e.Output)
	case "attr":
		if e.Key != matrix.Attribute {
			return nil
		}
		report, err := matrix.Parse(e.Value)
		if err != nil {
			return err
		}
		c := r.rows[report.Row]
		c.injected += report.Injected
		c.survived += report.Survived
		r.rows[report.Row] = c
	case "fail", "skip":
		fmt.Fprint(w, strings.Join(held[name], ""))
		r.failed = append(r.failed, strings.TrimSpace(name))
		delete(held, name)
	case "pass":
		delete(held, name)
	}
	return nil
}

func (r *result) print(w io.Writer, rows []matrix.Row) {
	fmt.Fprintf(w, "%-4s %9s %9s %6s  %s\n", "row", "injected", "survived", "lost", "fault")
	total := counts{}
	for _, row := range rows {
		c := r.rows[row.ID]
		fmt.Fprintf(w, "%-4s %9d %9d %6d  %s\n", row.ID, c.injected, c.survived, c.injected-c.survived, row.Fault)
		total.injected += c.injected
		total.survived += c.survived
	}
	fmt.Fprintf(w, "%-4s %9d %9d %6d\n", "all", total.injected, total.survived, total.injected-total.survived)
	for _, name := range r.failed {
		fmt.Fprintf(w, "failed: %s\n", name)
	}
}

// verdict is an error unless every wanted row was tried and nothing was lost.
func (r *result) verdict(wanted []matrix.Row) error {
	var errs []error
	if len(r.failed) > 0 {
		errs = append(errs, fmt.Errorf("%d tests failed", len(r.failed)))
	}
	for _, row := range wanted {
		switch c := r.rows[row.ID]; {
		case c.injected == 0:
			errs = append(errs, fmt.Errorf("row %s: nothing was injected", row.ID))
		case c.survived < c.injected:
			errs = append(errs, fmt.Errorf("row %s: %d lost", row.ID, c.injected-c.survived))
		}
	}
	return errors.Join(errs...)
}
