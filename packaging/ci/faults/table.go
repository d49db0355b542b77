package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/packaging/ci/faults/matrix"
)

// The table stands between these lines of the document.
const (
	begin = "<!-- faults: made by make faults -->"
	end   = "<!-- faults: end -->"
)

// writeTable brings the lines of some rows up to date.
func writeTable(path string, r *result, rows []matrix.Row, where string, at time.Time) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	out, err := newTable(text, r, rows, where, at)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return new(fsx.FS).WriteAtomic(path, 0o644, out)
}

// newTable is the document with the lines of some rows replaced. Each line has the date of its run: rows may be run alone.
func newTable(text []byte, r *result, rows []matrix.Row, where string, at time.Time) ([]byte, error) {
	head, rest, ok1 := bytes.Cut(text, []byte(begin+"\n"))
	old, tail, ok2 := bytes.Cut(rest, []byte(end+"\n"))
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("no table between %q and %q", begin, end)
	}
	lines := map[string]string{}
	for line := range strings.Lines(string(old)) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			lines[strings.TrimSpace(cells[1])] = line
		}
	}
	for _, row := range rows {
		c := r.rows[row.ID]
		lines[row.ID] = fmt.Sprintf("| %s | %s | %d | %d | %d | %s | %s |\n",
			row.ID, row.Fault, c.injected, c.survived, c.injected-c.survived, at.UTC().Format(time.DateOnly), row.How)
	}
	var out bytes.Buffer
	out.Write(head)
	fmt.Fprintf(&out, "%s\n", begin)
	fmt.Fprintf(&out, "Last run: %s, on %s.\n\n", at.UTC().Format(time.DateOnly), where)
	fmt.Fprintf(&out, "| row | fault | injected | survived | lost | date | how, and on macOS |\n|---|---|---:|---:|---:|---|---|\n")
	for _, row := range matrix.Rows {
		if line, ok := lines[row.ID]; ok {
			out.WriteString(line)
		} else {
			fmt.Fprintf(&out, "| %s | %s | – | – | – | not yet run in full | %s |\n", row.ID, row.Fault, row.How)
		}
	}
	fmt.Fprintf(&out, "%s\n", end)
	out.Write(tail)
	return out.Bytes(), nil
}

// machine says what kind of machine this is, not which.
func machine() string {
	return fmt.Sprintf("%s/%s with %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}
