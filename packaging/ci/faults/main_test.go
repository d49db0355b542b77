package main

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"maia-dr/packaging/ci/faults/matrix"
)

const root = "../../.."

// TestEveryRowHasTests: each row of the matrix has a test that counts for it.
func TestEveryRowHasTests(t *testing.T) {
	all, err := findTests(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range matrix.Rows {
		if !slices.ContainsFunc(all, func(t test) bool { return slices.Contains(t.rows, row.ID) }) {
			t.Errorf("row %s, %s: no test counts for it", row.ID, row.Fault)
		}
	}
}

// The document has a line for each row, in the words of the matrix: it is made from it.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	same, err := newTable(text, newResult(), nil, "", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	strip := func(b []byte) string { // but for date and machine
		before, after, _ := strings.Cut(string(b), "Last run: ")
		_, after, _ = strings.Cut(after, "\n")
		return before + after
	}
	if strip(same) != strip(text) {
		t.Error("the table of docs/reliability.md is not what make faults would write")
	}
	for _, row := range matrix.Rows {
		if !strings.Contains(string(text), "| "+row.ID+" | "+row.Fault+" |") || !strings.Contains(string(text), " | "+row.How+" |") {
			t.Errorf("docs/reliability.md tells row %s otherwise than the matrix", row.ID)
		}
	}
}

func TestFindBites(t *testing.T) {
	for _, c := range []struct{ body, rows, err string }{
		{`func TestA(t *testing.T) { c := matrix.Of(t, "3", "31a"); matrix.Count(t, 2, "3") }`, "3 31a", ""},
		{`func TestA(t *testing.T) { t.Run("x", func(t *testing.T) { matrix.Of(t, "7") }) }`, "7", ""},
		{`func TestA(t *testing.T) { other.Of(t, "7") }`, "", ""},
		{`func TestA(t *testing.T) { matrix.Of(t, "99") }`, "", "which there is not"},
		{`func TestA(t *testing.T) { matrix.Of(t, row) }`, "", "spelled out"},
		{`func help(t *testing.T) { matrix.Of(t, "7") }`, "", "only a test function"},
		{`func (k *kit) TestA(t *testing.T) { matrix.Of(t, "7") }`, "", "only a test function"},
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "a_test.go", "package a\n"+c.body, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := testsOf(file, "a")
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", c.body, err)
			}
		case err != nil:
			t.Errorf("%s: %v", c.body, err)
		case c.rows == "" && len(got) > 0 || c.rows != "" && (len(got) != 1 || strings.Join(got[0].rows, " ") != c.rows):
			t.Errorf("%s: %+v", c.body, got)
		}
	}
}

func TestCollect(t *testing.T) {
	const lines = `{"Action":"attr","Package":"p","Test":"TestA","Key":"faults","Value":"row=15 injected=8 survived=8"}
{"Action":"attr","Package":"p","Test":"TestA","Key":"other","Value":"x"}
{"Action":"output","Package":"p","Test":"TestA","Output":"not shown\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"it is lost\n"}
{"Action":"attr","Package":"p","Test":"TestB","Key":"faults","Value":"row=15 injected=2 survived=1"}
{"Action":"fail","Package":"p","Test":"TestB"}
`
	r := newResult()
	var said bytes.Buffer
	if err := r.collect(strings.NewReader(lines), &said); err != nil {
		t.Fatal(err)
	}
	if r.rows["15"] != (counts{10, 9}) || said.String() != "it is lost\n" || !slices.Equal(r.failed, []string{"p TestB"}) {
		t.Errorf("%+v, said %q", r, said.String())
	}
	wanted, err := wantedRows("16,15")
	if err != nil || len(wanted) != 2 || wanted[0].ID != "15" {
		t.Fatalf("%+v, %v", wanted, err)
	}
	verdict := r.verdict(wanted)
	for _, part := range []string{"1 tests failed", "row 15: 1 lost", "row 16: nothing was injected"} {
		if verdict == nil || !strings.Contains(verdict.Error(), part) {
			t.Errorf("the verdict %v does not say %q", verdict, part)
		}
	}
	if _, err := wantedRows("15,0"); err == nil {
		t.Error("row 0 was taken")
	}
	if err := r.collect(strings.NewReader(`{"Action":"attr","Key":"faults","Value":"row=0"}`), &said); err == nil {
		t.Error("a report of no row was taken")
	}
}

// Rows that did not run keep their lines.
func TestTable(t *testing.T) {
	r := newResult()
	r.rows["2"] = counts{5, 5}
	rows, err := wantedRows("2")
	if err != nil {
		t.Fatal(err)
	}
	text := "before\n" + begin + "\n| 1 | old words | 7 | 7 | 0 | 2020-01-01 | how |\n" + end + "\nafter\n"
	out, err := newTable([]byte(text), r, rows, "a machine", time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"before\n" + begin, "| 1 | old words | 7 | 7 | 0 | 2020-01-01 | how |\n| 2 |", "| 5 | 5 | 0 | 2026-02-03 |", "a machine", end + "\nafter\n"} {
		if !strings.Contains(string(out), part) {
			t.Errorf("%q is not in\n%s", part, out)
		}
	}
	if _, err := newTable([]byte("nothing"), r, rows, "", time.Time{}); err == nil {
		t.Error("a document without a table was taken")
	}
}
