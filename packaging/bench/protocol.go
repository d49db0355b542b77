package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"maia-dr/engine/fixture"
)

// report is everything that was measured.
type report struct {
	Date    string    `json:"date"`
	Machine string    `json:"machine"`
	Command string    `json:"command"`
	Sample  string    `json:"sample"`
	Runs    int       `json:"runs"`
	Days    int       `json:"days"`
	Results []*result `json:"results"`
	LeftOut []string  `json:"left_out,omitempty"`
	// Pip is what pip's two lists take by themselves, which the program asks for in each run; 0: there is no pip.
	Pip    float64 `json:"pip_seconds,omitempty"`
	Curves []curve `json:"curves,omitempty"`
}

// result is what one tool took.
type result struct {
	Name    string `json:"name"`
	About   string `json:"about"`
	History bool   `json:"history"`
	Ours    bool   `json:"ours,omitempty"`
	// First, Unchanged, Restore and Verify have one run for each round, EachDay one for each day.
	First     []run `json:"first"`
	Unchanged []run `json:"unchanged"`
	EachDay   []run `json:"each_day"`
	Restore   []run `json:"restore"`
	Verify    []run `json:"verify"`
	// Hashes, Perl, Zsh and Version are only the program's own: chunk hashes alone, the script with either writer, and
	// the command that does nothing.
	Hashes  []run `json:"hashes,omitempty"`
	Perl    []run `json:"script_perl,omitempty"`
	Zsh     []run `json:"script_zsh,omitempty"`
	Version []run `json:"version,omitempty"`
	// Repository is its size in bytes after the last day.
	Repository int64 `json:"repository_bytes"`
	// Failed says at what the tool was given up.
	Failed string `json:"failed,omitempty"`
}

// all are all runs of the tool.
func (r *result) all() (runs []run) {
	for _, some := range [][]run{r.First, r.Unchanged, r.EachDay, r.Restore, r.Verify, r.Hashes} {
		runs = append(runs, some...)
	}
	return runs
}

// bench runs the protocol.
type bench struct {
	place
	sample *sample
	runs   int
	days   int
	log    func(format string, args ...any)
	ctx    context.Context // of the one run that this is
	// pause is the rest after files were written.
	pause  time.Duration
	tools  []tool
	turn   int // how often all tools were asked for something
	report *report
}

// versionRuns and scriptRuns are how often the quickest and the slowest things are measured.
const (
	versionRuns = 20
	scriptRuns  = 3
)

// add takes a tool in.
func (b *bench) add(t tool) {
	_, ours := t.(*maia)
	b.tools = append(b.tools, t)
	b.report.Results = append(b.report.Results, &result{Name: t.name(), About: t.about(), History: t.history(), Ours: ours})
}

// each does one thing with each tool that still works; one that fails is given up, and the others go on.
func (b *bench) each(what string, do func(t tool, r *result) error) error {
	return b.eachOf(func(tool) bool { return true }, what, do)
}

// eachOf does it with those picked, each time in another order.
func (b *bench) eachOf(pick func(tool) bool, what string, do func(t tool, r *result) error) error {
	b.turn++
	for _, i := range order(len(b.tools), b.turn) {
		t, r := b.tools[i], b.report.Results[i]
		if r.Failed != "" || !pick(t) {
			continue
		}
		began := time.Now()
		if err := do(t, r); err != nil {
			if b.ctx.Err() != nil {
				return b.ctx.Err()
			}
			r.Failed = what + ": " + strings.ReplaceAll(err.Error(), b.work, "…")
			b.log("%s: %s", t.name(), r.Failed)
			continue
		}
		b.log("%s: %s: %.2f s", what, t.name(), time.Since(began).Seconds())
	}
	return b.ctx.Err()
}

// order returns the order of n tools in a round. In 2n rounds each begins as often as any other, and follows each other one as often, so that
// what one leaves behind meets all others alike. These are the rows of E. J. Williams, "Experimental designs balanced for the estimation of
// residual effects of treatments", 1949.
func order(n, round int) []int {
	row := make([]int, n)
	for i := range row {
		at := (i + 1) / 2 // 0, 1, n-1, 2, n-2, …
		if i%2 == 0 {
			at = n - at
		}
		row[i] = (at + round) % n
	}
	if n%2 == 1 && round%2 == 1 {
		slices.Reverse(row)
	}
	return row
}

// run is the whole protocol, in the order of the document.
func (b *bench) run() error {
	for _, step := range []func() error{b.start, b.pip, b.first, b.unchanged, b.eachDay, b.restores, b.verifies, b.scripts} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) start() error {
	for i, t := range b.tools {
		if m, ok := t.(*maia); ok {
			r := b.report.Results[i]
			runs, err := m.startingTime(b.ctx, min(versionRuns, 4*b.runs))
			if err != nil {
				return err
			}
			r.Version, m.start = runs, medianOf(runs, seconds)
		}
	}
	return b.ctx.Err()
}

// pip measures what a run spends on waiting for pip, where there is one.
func (b *bench) pip() error {
	var runs []run
	for range b.runs {
		r, _, err := measure(b.ctx, command{args: []string{"/bin/sh", "-c", "python3 -m pip list --format=freeze && python3 -m pip freeze"}, env: b.env()})
		if err != nil {
			return b.ctx.Err()
		}
		runs = append(runs, r)
	}
	b.report.Pip = medianOf(runs, seconds)
	return nil
}

func (b *bench) first() error {
	for n := 1; n <= b.runs; n++ {
		err := b.each(fmt.Sprintf("first backup, round %d", n), func(t tool, r *result) error {
			if err := t.fresh(b.ctx); err != nil {
				return err
			}
			took, err := backUp(b.ctx, t, 0, b.root)
			if err == nil {
				r.First = append(r.First, took)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// unchanged also gives each tool a backup that is not counted: the first after the first one may still tidy up.
func (b *bench) unchanged() error {
	if err := b.rest(); err != nil {
		return err
	}
	for n := 0; n <= b.runs; n++ {
		err := b.each(fmt.Sprintf("no change, round %d", n), func(t tool, r *result) error {
			took, err := backUp(b.ctx, t, 0, b.root)
			if err == nil && n > 0 {
				r.Unchanged = append(r.Unchanged, took)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pause is longer than the time after which the program believes the times of files; see statcache.go in engine.
const pause = 3 * time.Second

// rest waits until the times of files just written are believed.
func (b *bench) rest() error {
	select {
	case <-b.ctx.Done():
		return b.ctx.Err()
	case <-time.After(b.pause):
		return nil
	}
}

// eachDay begins anew, so that the repository has the first backup and those of the days, and nothing else.
func (b *bench) eachDay() error {
	err := b.each("day 0", func(t tool, _ *result) error {
		if err := t.fresh(b.ctx); err != nil {
			return err
		}
		_, err := backUp(b.ctx, t, 0, b.root)
		return err
	})
	if err != nil {
		return err
	}
	for day := 1; day <= b.days; day++ {
		if err := b.sample.day(b.ctx); err != nil {
			return err
		}
		if err := b.rest(); err != nil {
			return err
		}
		err := b.each(fmt.Sprintf("day %d", day), func(t tool, r *result) error {
			took, err := backUp(b.ctx, t, day, b.root)
			if err == nil {
				r.EachDay = append(r.EachDay, took)
				r.Repository = took.StoredBytes
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) restores() error {
	for n := 1; n <= b.runs; n++ {
		err := b.each(fmt.Sprintf("restore, round %d", n), func(t tool, r *result) error {
			took, err := restoreTo(b.ctx, t.restore, b.work, b.root)
			if err == nil {
				r.Restore = append(r.Restore, took)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) verifies() error {
	for n := 1; n <= b.runs; n++ {
		err := b.each(fmt.Sprintf("verify, round %d", n), func(t tool, r *result) error {
			flush()
			took, err := t.verify(b.ctx)
			if err != nil {
				return err
			}
			r.Verify = append(r.Verify, took)
			m, ok := t.(*maia)
			if !ok {
				return nil
			}
			took, can, err := m.verifyHashes(b.ctx)
			if can && err == nil {
				r.Hashes = append(r.Hashes, took)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// scripts restores with the script, by the program without a vault: how the vault is opened is no matter of speed.
func (b *bench) scripts() error {
	for _, writer := range []string{"perl", "zsh"} {
		if _, err := stock(writer); err != nil {
			b.report.LeftOut = append(b.report.LeftOut, "the script with "+writer+": "+err.Error())
			continue
		}
		for n := 1; n <= min(b.runs, scriptRuns); n++ {
			withoutVault := func(t tool) bool { m, ok := t.(*maia); return ok && !m.vault }
			err := b.eachOf(withoutVault, fmt.Sprintf("script with %s, round %d", writer, n), func(t tool, r *result) error {
				script := func(ctx context.Context, to string) (run, error) { return t.(*maia).script(ctx, to, writer) }
				took, err := restoreTo(b.ctx, script, b.work, b.root)
				if err == nil && writer == "perl" {
					r.Perl = append(r.Perl, took)
				} else if err == nil {
					r.Zsh = append(r.Zsh, took)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// restoreTo measures one restore into a new folder below work, and looks whether the large database came back as it is.
func restoreTo(ctx context.Context, restore func(ctx context.Context, to string) (run, error), work, root string) (run, error) {
	to, err := os.MkdirTemp(work, "restored-")
	if err != nil {
		return run{}, fmt.Errorf("make folder: %w", err)
	}
	flush()
	defer makeEmpty(to)
	r, err := restore(ctx, to)
	if err != nil {
		return run{}, err
	}
	return r, restoredSame(to, root)
}

func restoredSame(to, root string) error {
	want, err := digest(filepath.Join(root, fixture.TicketDB))
	if err != nil {
		return err
	}
	for _, below := range []string{to, filepath.Join(to, root)} { // some restore whole paths
		if got, err := digest(filepath.Join(below, fixture.TicketDB)); err == nil && got == want {
			return nil
		}
	}
	return fmt.Errorf("restore: %s is not what it was", strings.TrimPrefix(fixture.TicketDB, "claude/data/"))
}

// makeEmpty gives back the space of a folder's files, which stay until all is measured: for some minutes, ext4 without a journal looks
// at each inode that was freed whenever it makes a file, so that the next restore could take half as long again.
func makeEmpty(dir string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && os.Truncate(path, 0) != nil {
			_ = os.Remove(path)
		}
		return nil
	})
}
