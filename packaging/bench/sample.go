package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"maia-dr/engine/fixture"
)

// The sample is made and changed by children, see measure: "bench make BASE SIZE DATABASE-BYTES", "bench day BASE N",
// "bench more BASE TIMES".

// children are what a child does, by its first argument.
var children = map[string]func(ctx context.Context, args []string) error{"make": childMake, "day": childDay, "more": childMore}

// seed decides the content of the sample.
const seed = 1

func childMake(ctx context.Context, args []string) error {
	size := fixture.Full
	if args[1] == "small" {
		size = fixture.Small
	}
	database, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return fmt.Errorf("read size: %w", err)
	}
	_, err = fixture.Make(ctx, fixture.Options{Base: args[0], Size: size, Seed: seed, LargeDatabase: database})
	return err
}

func childDay(ctx context.Context, args []string) error {
	f, err := fixture.Open(args[0])
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("read day: %w", err)
	}
	_, err = f.Day(ctx, n)
	return err
}

// childMore brings the sample to so many times its code: each time the code of another one, with content of its own.
func childMore(ctx context.Context, args []string) error {
	f, err := fixture.Open(args[0])
	if err != nil {
		return err
	}
	times, err := strconv.Atoi(args[2])
	if err != nil {
		return fmt.Errorf("read number: %w", err)
	}
	size := fixture.Full
	if args[1] == "small" {
		size = fixture.Small
	}
	for n := 1; n < times; n++ {
		base := filepath.Join(filepath.Dir(f.Base), "more")
		other, err := fixture.Make(ctx, fixture.Options{Base: base, Size: size, Seed: seed + uint64(n), OldHome: f.OldHome, LargeDatabase: 1_000_000})
		if err != nil {
			return err
		}
		to := filepath.Join(f.Root, "more", strconv.Itoa(n))
		if err := os.MkdirAll(to, 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		for _, name := range []string{"agents", "commands", "context", "tools"} {
			if err := os.Rename(filepath.Join(other.Root, "claude", name), filepath.Join(to, name)); err != nil {
				return fmt.Errorf("move code: %w", err)
			}
		}
		if err := os.RemoveAll(base); err != nil {
			return fmt.Errorf("clear away: %w", err)
		}
	}
	return nil
}

// sample is the sample as its parent knows it.
type sample struct {
	base string
	size string // small or full
	fix  *fixture.Fixture
	days int // that have passed in it
}

// makeSample makes one below the work folder.
func makeSample(ctx context.Context, work, size string, database int64) (*sample, error) {
	s := &sample{base: filepath.Join(work, "sample"), size: size}
	if err := s.child(ctx, "make", s.base, size, strconv.FormatInt(database, 10)); err != nil {
		return nil, err
	}
	var err error
	s.fix, err = fixture.Open(s.base)
	return s, err
}

// day lets a day pass.
func (s *sample) day(ctx context.Context) error {
	s.days++
	return s.child(ctx, "day", s.base, strconv.Itoa(s.days))
}

func (s *sample) more(ctx context.Context, times int) error {
	return s.child(ctx, "more", s.base, s.size, strconv.Itoa(times))
}

func (s *sample) child(ctx context.Context, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("sample: %s: %w: %.300s", args[0], err, out)
	}
	return nil
}

// saveJSON and loadJSON keep a report.
func saveJSON(path string, r *report) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode figures: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

func loadJSON(path string) (*report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read figures: %w", err)
	}
	r := new(report)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("read figures: %w", err)
	}
	return r, nil
}
