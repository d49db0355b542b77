// Package matrix has the rows of the fault matrix, and lets tests count for them. A test that injects faults of a row
// counts each; when it ends, go test -json tells how many were injected and how many survived. Command faults, above,
// collects that. Only tests import this package.
package matrix

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Attribute is the key under which a test reports, in events with the action "attr".
const Attribute = "faults"

var full = flag.Bool("full", false, "inject a fault at every place instead of at some of each kind")

// Full tells whether every place is asked for where tests otherwise take a sample: go test PACKAGE -args -full.
func Full() bool { return *full }

// T is the part of testing.TB that counting needs.
type T interface {
	Helper()
	Failed() bool
	Cleanup(func())
	Attr(key, value string)
	Fatalf(format string, args ...any)
}

// Counter counts the faults of one test. Safe for concurrent use.
type Counter struct {
	t  T
	mu sync.Mutex
	// injected are all faults; survived are those after which the test had not failed when the next one came.
	injected, survived int
	open               bool
}

// Of begins to count for rows; most tests have one. What was counted is reported when t ends. A fault is survived if t has not
// failed by the time of the next one: from the first loss on, all are counted as lost.
func Of(t T, rows ...string) *Counter {
	t.Helper()
	for _, id := range rows {
		if _, ok := Find(id); !ok {
			t.Fatalf("no row %q in the fault matrix", id)
		}
	}
	c := &Counter{t: t}
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.close()
		for _, id := range rows {
			t.Attr(Attribute, Report{Row: id, Injected: c.injected, Survived: c.survived}.String())
		}
	})
	return c
}

func (c *Counter) close() {
	if c.open && !c.t.Failed() {
		c.survived++
	}
	c.open = false
}

// Inject counts one fault, which is about to be injected.
func (c *Counter) Inject() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close()
	c.injected++
	c.open = true
}

// Count counts n faults that t injects altogether: they are survived if t passes.
func Count(t T, n int, rows ...string) {
	t.Helper()
	c := Of(t, rows...)
	t.Cleanup(func() { // before the one of Of
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.injected += n; !t.Failed() {
			c.survived += n
		}
	})
}

// Report is what one test says of one row.
type Report struct {
	Row                string
	Injected, Survived int
}

func (r Report) String() string {
	return fmt.Sprintf("row=%s injected=%d survived=%d", r.Row, r.Injected, r.Survived)
}

// Parse reads what String writes.
func Parse(s string) (r Report, err error) {
	for field := range strings.FieldsSeq(s) {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "row":
			r.Row = value
		case "injected":
			r.Injected, err = strconv.Atoi(value)
		case "survived":
			r.Survived, err = strconv.Atoi(value)
		}
		if err != nil {
			return r, fmt.Errorf("parse report %q: %w", s, err)
		}
	}
	if _, ok := Find(r.Row); !ok {
		return r, fmt.Errorf("parse report %q: no such row", s)
	}
	return r, nil
}
