// Command bench compares the program with its peers: restic, borg, rclone, and tar with pigz as in the plan, those that
// are installed. It makes a sample of the user's working system, runs one after the other on the same data, and prints
// a table with medians and ratios, and what was promised beside what was measured. It needs some 16 GB of disk.
//
//	go run ./packaging/bench              the comparison
//	go run ./packaging/bench -quick       a small sample, one round: only to see that it works
//	go run ./packaging/bench -curves      the program alone with ten times the files and with a large database
//	go run ./packaging/bench -year 360    the program alone, so many days under the default retention
//	go run ./packaging/bench -from FILE   the table of an earlier run's figures
//
// With -update the table goes into README.md, and a dated section with notes into docs/benchmarks.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	runs, days, year          int
	quick, curved, keep, save bool
	work, cache, json         string
	from, change              string
	log                       func(format string, args ...any)
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 3 && children[os.Args[1]] != nil {
		if err := children[os.Args[1]](ctx, os.Args[2:]); err != nil {
			log.Fatal(err)
		}
		return
	}
	o := options{log: log.Printf}
	flag.IntVar(&o.runs, "runs", 5, "rounds of each measurement")
	flag.IntVar(&o.days, "days", footprintDays, "days after the first backup")
	flag.BoolVar(&o.quick, "quick", false, "a small sample, one round, two days")
	flag.BoolVar(&o.curved, "curves", false, "measure the program alone on larger samples")
	flag.IntVar(&o.year, "year", 0, "measure the program alone over this many `days`")
	flag.StringVar(&o.work, "work", "", "an empty `folder` for all data (default: a temporary one)")
	flag.BoolVar(&o.keep, "keep", false, "keep that folder")
	flag.StringVar(&o.cache, "cache", "", "the `folder` in which restic is kept (default: in the user's cache)")
	flag.StringVar(&o.json, "json", "", "write all figures to `FILE`")
	flag.StringVar(&o.from, "from", "", "measure nothing: read the figures from `FILE`")
	flag.BoolVar(&o.save, "update", false, "write the table into README.md and docs/benchmarks.md")
	flag.StringVar(&o.change, "change", "", "what changed since the last run and what it gained, for docs/benchmarks.md")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("unknown argument %q", flag.Arg(0))
	}
	if err := o.main(ctx); err != nil {
		stop()
		log.Fatal(err)
	}
}

func (o options) main(ctx context.Context) error {
	if o.quick {
		o.runs, o.days = 1, 2
	}
	if o.runs < 1 || o.days < 1 {
		return errors.New("-runs and -days are at least 1")
	}
	if o.save {
		if o.quick {
			return errors.New("-quick says nothing that belongs into a document: leave -update out")
		}
		for _, err := range lacking() {
			o.log("%v", err) // said now, for the end is far away; the rest is worth measuring
		}
	}
	var r *report
	var err error
	if o.from != "" {
		r, err = loadJSON(o.from)
	} else {
		r, err = o.measureAll(ctx)
	}
	if err != nil {
		return err
	}
	if o.json != "" {
		if err := saveJSON(o.json, r); err != nil {
			return err
		}
	}
	fmt.Print("\n" + r.long(o.change))
	if o.save {
		return update(r, o.change)
	}
	return nil
}

// measureAll makes the work folder, measures what was asked for in it, and removes it.
func (o options) measureAll(ctx context.Context) (r *report, err error) {
	work, err := makeWork(o.work)
	if err != nil {
		return nil, err
	}
	o.work = work
	if !o.keep {
		defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	}
	p, err := build(ctx, work)
	if err != nil {
		return nil, err
	}
	r = &report{Date: time.Now().Format(time.DateOnly), Machine: machine(ctx), Command: o.command(), Runs: o.runs, Days: o.days}
	if o.curved {
		if err := o.curves(ctx, p, r); err != nil {
			return nil, err
		}
	}
	if o.year > 0 {
		if err := o.yearOf(ctx, p, r); err != nil {
			return nil, err
		}
	}
	if !o.curved && o.year == 0 {
		err = o.compare(ctx, p, r)
	}
	return r, err
}

// compare measures the program and its peers.
func (o options) compare(ctx context.Context, p *programs, r *report) error {
	size := "full"
	r.Sample = "Code of 70 MB and a database of 348 MB"
	if o.quick {
		size, r.Sample = "small", "A small sample, which says nothing about speed"
	}
	o.log("make the %s sample", size)
	s, err := makeSample(ctx, o.work, size, 0)
	if err != nil {
		return err
	}
	b := o.bench(ctx, s, r)
	b.add(newMaia(b.place, "Plain", false, p.bin, p.ahead, p.version, keepAll))
	b.add(newMaia(b.place, "Vault", true, p.bin, p.ahead, p.version, keepAll))
	cache := o.cache
	if cache == "" {
		if cache, err = os.UserCacheDir(); err != nil {
			return fmt.Errorf("find cache: %w", err)
		}
		cache = filepath.Join(cache, "maia-dr-bench")
	}
	for _, f := range peers(ctx, b.place, cache) {
		if f.tool == nil {
			o.log("left out: %s", f.leftOut)
			r.LeftOut = append(r.LeftOut, f.leftOut)
			continue
		}
		b.add(f.tool)
	}
	return b.run()
}

func (o options) bench(ctx context.Context, s *sample, r *report) *bench {
	return &bench{
		place:  place{work: o.work, home: s.fix.Home, root: s.fix.Root, excluded: s.fix.Excluded},
		sample: s, runs: o.runs, days: o.days, pause: pause, log: o.log, ctx: ctx, report: r,
	}
}

// command is how to measure the same again, without folders of this machine.
func (o options) command() string {
	c := "make bench"
	var flags []string
	switch {
	case o.quick:
		flags = append(flags, "-quick")
	case o.runs != 5 || o.days != footprintDays:
		flags = append(flags, fmt.Sprintf("-runs %d -days %d", o.runs, o.days))
	}
	if o.curved {
		flags = append(flags, "-curves")
	}
	if o.year > 0 {
		flags = append(flags, fmt.Sprintf("-year %d", o.year))
	}
	if len(flags) > 0 {
		c = "go run ./packaging/bench " + strings.Join(flags, " ")
	}
	return c
}

// makeWork makes the folder that everything lies in.
func makeWork(dir string) (string, error) {
	if dir == "" {
		dir, err := os.MkdirTemp("", "maia-bench-")
		if err != nil {
			return "", fmt.Errorf("make work folder: %w", err)
		}
		return dir, makeFolders(dir)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("make work folder: %w", err)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return "", fmt.Errorf("the work folder %s is not empty, and it is removed at the end", dir)
	}
	return dir, makeFolders(dir)
}

func makeFolders(work string) error {
	for _, name := range []string{"home", "tmp", "bin"} {
		if err := os.MkdirAll(filepath.Join(work, name), 0o755); err != nil {
			return fmt.Errorf("make work folder: %w", err)
		}
	}
	return nil
}

// programs are the program and the one whose clock is ahead, as this source makes them.
type programs struct{ bin, ahead, version string }

func build(ctx context.Context, work string) (*programs, error) {
	p := &programs{bin: filepath.Join(work, "bin", "maia-dr"), ahead: filepath.Join(work, "bin", "ahead"), version: "maia-dr of this source"}
	for _, b := range [][2]string{{p.bin, "maia-dr"}, {p.ahead, "maia-dr/packaging/bench/ahead"}} {
		out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b[0], b[1]).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("build %s: %w: %s", b[1], err, out)
		}
	}
	if out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		p.version = "maia-dr at " + strings.TrimSpace(string(out))
	}
	return p, nil
}
