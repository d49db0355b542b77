package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine/fixture"
)

// copier keeps whole copies of the large database; it can be made to fail.
type copier struct {
	called  string
	dir     string
	source  string
	calls   *[]string // who was asked for a backup, in order
	failing bool
	spoils  bool
}

func (c *copier) name() string                { return c.called }
func (c *copier) about() string               { return "a copy" }
func (c *copier) history() bool               { return true }
func (c *copier) repository() string          { return c.dir }
func (c *copier) fresh(context.Context) error { return renew(c.dir) }

func (c *copier) backup(context.Context, int) (run, error) {
	*c.calls = append(*c.calls, c.called)
	if c.failing {
		return run{}, errors.New("no space in " + c.dir)
	}
	return run{Seconds: 1}, c.copy(c.source, filepath.Join(c.dir, "copy.db"))
}

func (c *copier) restore(_ context.Context, to string) (run, error) {
	at := filepath.Join(to, fixture.TicketDB)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return run{}, err
	}
	if err := c.copy(filepath.Join(c.dir, "copy.db"), at); err != nil || !c.spoils {
		return run{Seconds: 2}, err
	}
	return run{Seconds: 2}, os.WriteFile(at, []byte("spoilt"), 0o600)
}

func (c *copier) verify(context.Context) (run, error) { return run{Seconds: 3}, nil }

func (c *copier) copy(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

// TestProtocol: everybody is asked in each round, another one first each time; who fails is given up alone.
func TestProtocol(t *testing.T) {
	work := t.TempDir()
	b := &bench{place: place{work: work, root: filepath.Join(work, "root")}, runs: 2, log: t.Logf, ctx: t.Context(), report: &report{}}
	source := filepath.Join(b.root, fixture.TicketDB)
	if err := os.MkdirAll(filepath.Dir(source), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(source, []byte("tickets"), 0o600); err != nil {
		t.Fatal(err)
	}
	var calls []string
	for _, c := range []*copier{{called: "one"}, {called: "spoiling", spoils: true}, {called: "failing", failing: true}} {
		c.dir, c.source, c.calls = filepath.Join(work, "tools", c.called), source, &calls
		b.add(c)
	}
	for _, step := range []func() error{b.first, b.unchanged, b.restores, b.verifies} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	one, spoiling, failing := b.report.Results[0], b.report.Results[1], b.report.Results[2]
	if one.Failed != "" || len(one.First) != 2 || len(one.Unchanged) != 2 || len(one.Restore) != 2 || len(one.Verify) != 2 {
		t.Errorf("the one that works: %+v", one)
	}
	if got := one.First[1]; got.AddedFiles != 1 || got.AddedBytes != 7 || got.StoredBytes != 7 || got.Seconds != 1 {
		t.Errorf("its second round: %+v", got)
	}
	if spoiling.Failed == "" || !strings.Contains(spoiling.Failed, "restore") || len(spoiling.Unchanged) != 2 || len(spoiling.Restore) != 0 || len(spoiling.Verify) != 0 {
		t.Errorf("what it restores is not what it was: %+v", spoiling)
	}
	if failing.Failed != "first backup, round 1: no space in …/tools/failing" || len(failing.First) != 0 {
		t.Errorf("the one that fails: %+v", failing)
	}
	// Two rounds of first backups and three without a change; the failing one is in the first round alone.
	var want []string
	for round := 1; round <= 2+3; round++ {
		for _, i := range order(3, round) {
			if name := b.tools[i].name(); name != "failing" || round == 1 {
				want = append(want, name)
			}
		}
	}
	if !slices.Equal(calls, want) {
		t.Errorf("asked were %q, want %q", calls, want)
	}
	// What was restored lies there still, without its content.
	restored, err := filepath.Glob(filepath.Join(work, "restored-*", fixture.TicketDB))
	if err != nil || len(restored) != 3 {
		t.Errorf("restored were %v, %v", restored, err)
	}
	for _, path := range restored {
		if fi, err := os.Lstat(path); err != nil || fi.Size() != 0 {
			t.Errorf("%s: %v, %v", path, fi, err)
		}
	}
}

// TestOrder: in 2n rounds, each tool begins as often as any other, and follows each other one as often.
func TestOrder(t *testing.T) {
	for n := 2; n < 9; n++ {
		first, after := make([]int, n), map[[2]int]int{}
		for round := range 2 * n {
			row := order(n, round+1)
			first[row[0]]++
			for i := 1; i < n; i++ {
				after[[2]int{row[i-1], row[i]}]++
			}
		}
		if slices.Min(first) != 2 || slices.Max(first) != 2 {
			t.Errorf("of %d, each began %v times", n, first)
		}
		for a := range n {
			for b := range n {
				if a != b && after[[2]int{a, b}] != 2 {
					t.Errorf("of %d, %d came %d times behind %d", n, b, after[[2]int{a, b}], a)
				}
			}
		}
	}
}

func TestProtocolCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var calls []string
	b := &bench{place: place{work: t.TempDir()}, runs: 2, log: t.Logf, ctx: ctx, report: &report{}}
	b.add(&copier{called: "one", dir: t.TempDir(), calls: &calls, failing: true})
	if err := b.first(); !errors.Is(err, context.Canceled) || b.report.Results[0].Failed != "" {
		t.Errorf("%v; blamed is %q", err, b.report.Results[0].Failed)
	}
}
