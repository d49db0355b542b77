package schedule

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"maia-dr/packaging/ci/faults/matrix"
)

// desk is a Runner whose world is a few fields.
type desk struct {
	Runner
	now     time.Time
	awake   time.Duration
	record  Record
	facts   Facts
	saves   int
	saveErr error
	waits   int
	backups []error // what each backup comes to
	drills  []error
	did     []string
	logged  []string
}

func newDesk(t *testing.T) *desk {
	d := &desk{now: at(t, time.UTC, "2026-05-05 03:00:05")}
	next := func(list *[]error) error {
		if len(*list) == 0 {
			return nil
		}
		err := (*list)[0]
		*list = (*list)[1:]
		return err
	}
	d.Runner = Runner{
		Plan: defaultPlan(time.UTC), Now: func() time.Time { return d.now }, Awake: func() time.Duration { return d.awake },
		Sleep: func(ctx context.Context, p time.Duration) error {
			d.waits++
			d.now, d.awake = d.now.Add(p), d.awake+p
			return ctx.Err()
		},
		Load:  func() *Record { r := d.record; return &r },
		Save:  func(r *Record) error { d.saves++; d.record = *r; return d.saveErr },
		Facts: func() (Facts, error) { return d.facts, nil },
		Backup: func(context.Context) (string, bool, error) {
			d.did = append(d.did, "backup")
			return "full_x", false, next(&d.backups)
		},
		Drill: func(context.Context) error { d.did = append(d.did, "drill"); return next(&d.drills) },
		Log:   func(text string) { d.logged = append(d.logged, text) },
	}
	return d
}

func (d *desk) expect(t *testing.T, outcome Outcome, did ...string) *Result {
	t.Helper()
	d.did = nil
	res, err := d.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if res.Run.Outcome != outcome || !slices.Equal(d.did, did) {
		t.Errorf("%s after %v, want %s after %v", res.Run.Outcome, d.did, outcome, did)
	}
	return res
}

func TestRunnerOnceASlot(t *testing.T) {
	d := newDesk(t)
	d.facts.DrillDue = true
	if res := d.expect(t, Completed, "backup", "drill"); !res.Drilled || !slices.Equal(res.Backups, []string{"full_x"}) {
		t.Errorf("%+v", res)
	}
	d.expect(t, WasDone) // the drill was tried, although it is still due
	d.now = d.now.Add(24 * time.Hour)
	d.facts.PausedUntil = d.now.Add(time.Hour)
	d.expect(t, WasPaused)
	d.facts = Facts{}
	d.expect(t, Completed, "backup")
	d.facts.DrillDue = true
	d.expect(t, Drilled, "drill")
	if len(d.record.Runs) != 5 || d.record.Runs[4].Outcome != Drilled || d.record.Complete != d.now.UTC() {
		t.Errorf("%+v", d.record)
	}
}

// While another run is active it waits, and what that has made counts.
func TestRunnerWaits(t *testing.T) {
	d := newDesk(t)
	d.backups = []error{ErrBusy, ErrBusy, nil}
	d.expect(t, Completed, "backup", "backup", "backup")
	if d.waits != 2 || len(d.logged) != 1 {
		t.Errorf("%d waits, %q", d.waits, d.logged)
	}

	d = newDesk(t)
	d.backups = []error{ErrBusy}
	d.Sleep = func(context.Context, time.Duration) error { d.facts.Complete = []time.Time{d.now}; return nil }
	d.expect(t, WasDone, "backup")

	d = newDesk(t)
	d.backups = slices.Repeat([]error{ErrBusy}, 1000)
	if d.expect(t, WasBusy, slices.Repeat([]string{"backup"}, 121)...); d.awake != patience || len(d.logged) != 2 {
		t.Errorf("it waited %v: %q", d.awake, d.logged)
	}

	d = newDesk(t)
	d.facts.DrillDue = true
	d.drills = []error{ErrBusy, nil}
	d.expect(t, Completed, "backup", "drill", "drill")

	d = newDesk(t)
	d.backups = []error{ErrBusy}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res, err := d.Run(ctx); !errors.Is(err, context.Canceled) || res.Run.Outcome != Cancelled {
		t.Errorf("%+v, %v", res, err)
	}
}

// A backup that failed is tried again at the next start, not before, and its error is the run's.
func TestRunnerFailures(t *testing.T) {
	d := newDesk(t)
	full := errors.New("the disk is full")
	d.backups = []error{full, context.Canceled, nil}
	d.facts.DrillDue = true
	for _, want := range []Outcome{Failed, Cancelled} {
		d.did = nil
		res, err := d.Run(t.Context())
		if err == nil || res.Run.Outcome != want || res.Run.Error != err.Error() || len(d.did) != 1 {
			t.Errorf("%+v, %v, %v", res, err, d.did)
		}
	}
	d.drills = []error{full}
	res, err := d.Run(t.Context())
	if !errors.Is(err, full) || res.Run.Outcome != Completed || res.Run.Error != full.Error() || res.Drilled {
		t.Errorf("%+v, %v", res, err)
	}
	d.expect(t, WasDone)

	// What cannot be kept is an error, and the backup counts by what the engine says.
	d = newDesk(t)
	d.saveErr = full
	if res, err := d.Run(t.Context()); !errors.Is(err, full) || !strings.Contains(err.Error(), "record") || len(res.Backups) != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	d = newDesk(t)
	d.backups = []error{ErrBusy}
	d.Sleep = func(context.Context, time.Duration) error {
		d.Facts = func() (Facts, error) { return Facts{}, full }
		return nil
	}
	if res, err := d.Run(t.Context()); !errors.Is(err, full) || res.Run.Outcome != Failed || res.Run.Error == "" {
		t.Errorf("%+v, %v", res, err)
	}
	d.did = nil
	if _, err := d.Run(t.Context()); !errors.Is(err, full) || len(d.did) != 0 {
		t.Errorf("%v after %v", err, d.did)
	}
}

// A run that froze into the next slot makes that one's backup too.
func TestRunnerFreezes(t *testing.T) {
	matrix.Count(t, 1, "11")
	d := newDesk(t)
	n := 0
	d.Backup = func(context.Context) (string, bool, error) {
		d.did = append(d.did, "backup")
		d.awake += 2 * time.Minute
		d.now = d.now.Add(2 * time.Minute)
		if n++; n == 1 {
			d.now = d.now.Add(24 * time.Hour)
		}
		return "full_x", true, nil
	}
	res := d.expect(t, Warned, "backup", "backup")
	if len(res.Backups) != 2 || len(d.record.Runs) != 2 {
		t.Fatalf("%+v", d.record)
	}
	if r := d.record.Runs[0]; r.Seconds != 120 || r.SleptSeconds != 86400 || d.record.Runs[1].SleptSeconds != 0 {
		t.Errorf("%+v", d.record.Runs)
	}
	if !slices.ContainsFunc(d.logged, func(s string) bool { return strings.Contains(s, "slept for 24h0m0s") }) {
		t.Errorf("%q", d.logged)
	}
}
