// Command faults runs the tests that count for the fault matrix, each at every place where it can inject a fault, and
// prints one table: row, fault, injected, survived, lost. It fails if something was lost, if a test failed, or if a row was
// asked for and none of its tests counted.
//
//	go run ./packaging/ci/faults                         all rows: hours
//	go run ./packaging/ci/faults -rows 15,16             these rows
//	go run ./packaging/ci/faults -quick                  as make test runs them
//	go run ./packaging/ci/faults -write docs/reliability.md
//
// With -write the lines of the rows that ran are replaced in the document; the others keep their numbers and their date.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"maia-dr/packaging/ci/faults/matrix"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("faults: ")
	rows := flag.String("rows", "", "the rows to run, with commas between; default: all")
	quick := flag.Bool("quick", false, "take samples, as make test does")
	document := flag.String("write", "", "the document whose table is brought up to date")
	flag.Parse()
	if *quick && *document != "" {
		log.Fatal("a sample does not go into the document: use -quick or -write")
	}
	if err := run(*rows, *quick, *document); err != nil {
		log.Fatal(err)
	}
}

func run(list string, quick bool, document string) error {
	wanted, err := wantedRows(list)
	if err != nil {
		return err
	}
	all, err := findTests(".")
	if err != nil {
		return err
	}
	began := time.Now()
	got := newResult()
	for _, p := range all.only(wanted) {
		fmt.Printf("%s  %s: %s\n", time.Now().Format("15:04:05"), p.dir, strings.Join(p.tests, " "))
		if err := got.runPackage(p, quick, os.Stdout); err != nil {
			return err
		}
	}
	got.print(os.Stdout, wanted)
	fmt.Printf("in %v\n", time.Since(began).Round(time.Second))
	if document != "" && len(got.failed) == 0 {
		if err := writeTable(document, got, wanted, machine(), began); err != nil {
			return err
		}
	}
	return got.verdict(wanted)
}

// wantedRows are the rows of a list with commas between, in the order of the matrix.
func wantedRows(list string) ([]matrix.Row, error) {
	if list == "" {
		return matrix.Rows, nil
	}
	named := map[string]bool{}
	for id := range strings.SplitSeq(list, ",") {
		if _, ok := matrix.Find(id); !ok {
			return nil, fmt.Errorf("there is no row %q", id)
		}
		named[id] = true
	}
	var out []matrix.Row
	for _, r := range matrix.Rows {
		if named[r.ID] {
			out = append(out, r)
		}
	}
	return out, nil
}
