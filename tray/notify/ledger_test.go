package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/packaging/ci/faults/matrix"
	"maia-dr/tray/menu"
)

// recorder is a channel that takes messages, or refuses them with err.
type recorder struct {
	mu  sync.Mutex
	got []Message
	err error
}

func (r *recorder) channel(_ context.Context, m Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.got = append(r.got, m)
	}
	return r.err
}

// take returns what came since the last call, as "event key".
func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, m := range r.got {
		out = append(out, strings.TrimSpace(m.Event+" "+m.Key))
	}
	r.got = nil
	return strings.Join(out, ", ")
}

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newKeeper(t *testing.T) (*Keeper, *recorder, *clock) {
	c := &clock{time.Date(2025, 10, 15, 9, 0, 0, 0, time.UTC)}
	r := new(recorder)
	return &Keeper{Dir: t.TempDir(), Now: c.now, Channels: []Channel{r.channel}}, r, c
}

func open(keys ...string) menu.Alerts {
	a := menu.Alerts{Well: map[menu.Group]string{}}
	for _, k := range keys {
		a.Open = append(a.Open, menu.Incident{Key: k, Group: menu.Backups, Title: "Title of " + k, Text: "text", Remedy: "remedy"})
	}
	return a
}

func well() menu.Alerts {
	return menu.Alerts{Well: map[menu.Group]string{menu.Backups: "All is well.", menu.Uploads: "So is that."}}
}

func unknown() menu.Alerts { return menu.Alerts{} }

func TestLedger(t *testing.T) {
	k, r, c := newKeeper(t)
	for i, step := range []struct {
		after  time.Duration
		alerts menu.Alerts
		want   string
	}{
		{0, well(), ""},
		{0, open("a"), "problem a"},
		{0, open("a"), ""},
		{time.Hour, open("a"), ""},
		{time.Hour, unknown(), ""},
		{time.Hour, open("a", "b"), "problem b"},
		{21 * time.Hour, open("a", "b"), "reminder a"},
		{3 * time.Hour, open("a", "b"), "reminder b"},
		{time.Hour, well(), "restored"},
		{0, well(), ""},
		{0, open("a"), "problem a"},
		{-48 * time.Hour, open("a"), "reminder a"}, // the clock was set back: better once too often than for two days nothing
		{48 * time.Hour, unknown(), ""},
		{0, well(), "restored"},
	} {
		c.t = c.t.Add(step.after)
		// Each step is another process.
		next := &Keeper{Dir: k.Dir, Now: c.now, Channels: k.Channels}
		if err := next.Report(t.Context(), step.alerts); err != nil {
			t.Fatal(err)
		}
		if got := r.take(); got != step.want {
			t.Errorf("step %d: told %q, want %q", i, got, step.want)
		}
	}
}

// A look that began before another process told of an incident, or of its end, did not see it: it neither ends the one nor
// begins the other anew.
func TestOldLook(t *testing.T) {
	k, r, c := newKeeper(t)
	report := func(step string, asOf time.Duration, a menu.Alerts, want string) {
		t.Helper()
		a.AsOf = c.t.Add(asOf)
		if err := k.Report(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if got := r.take(); got != want {
			t.Errorf("%s: told %q, want %q", step, got, want)
		}
	}
	report("it begins", 0, open("a"), "problem a")
	c.t = c.t.Add(time.Second)
	report("a look from before", -2*time.Second, well(), "")
	report("the next", 0, open("a"), "")
	report("it ends", 0, well(), "restored")
	c.t = c.t.Add(time.Second)
	report("a look from before its end", -2*time.Second, open("a"), "")
	report("the next", 0, well(), "")
	report("it begins again", 0, open("a"), "problem a")
	// The clock is set back: what is written down is of the future, and hides nothing.
	c.t = c.t.Add(-48 * time.Hour)
	report("after the clock was set back", 0, well(), "restored")
	report("it begins once more", 0, open("a"), "problem a")
}

// However many processes and goroutines see an incident, one tells of it, and one of its end.
func TestExactlyOneTells(t *testing.T) {
	k, r, c := newKeeper(t)
	for _, step := range []struct {
		alerts menu.Alerts
		want   string
	}{{open("a"), "problem a"}, {well(), "restored"}} {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := (&Keeper{Dir: k.Dir, Now: c.now, Channels: k.Channels}).Report(t.Context(), step.alerts); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := r.take(); got != step.want {
			t.Errorf("told %q, want %q", got, step.want)
		}
	}
}

// What no channel took is told later: by another process at once, by this one after a while.
func TestRefused(t *testing.T) {
	matrix.Count(t, 1, "30")
	k, r, c := newKeeper(t)
	r.err = errors.New("no screen")
	for range 3 {
		if err := k.Report(t.Context(), open("a")); err != nil && !errors.Is(err, r.err) {
			t.Fatal(err)
		}
	}
	r.err = nil
	if err := k.Report(t.Context(), open("a")); err != nil || r.take() != "" {
		t.Errorf("tried again at once, %v", err)
	}
	c.t = c.t.Add(retryAfter)
	if err := k.Report(t.Context(), open("a")); err != nil || r.take() != "problem a" {
		t.Error("not tried again", err)
	}
	r.err = errors.New("no screen")
	if err := k.Report(t.Context(), open("b")); !errors.Is(err, r.err) {
		t.Error(err)
	}
	r.err = nil
	if err := (&Keeper{Dir: k.Dir, Now: c.now, Channels: k.Channels}).Report(t.Context(), open("b")); err != nil || r.take() != "problem b" {
		t.Error("another process did not tell", err)
	}
	// What nobody was told of is over in silence.
	r.err = errors.New("no screen")
	_ = k.Report(t.Context(), menu.Alerts{Open: []menu.Incident{{Key: "u", Group: menu.Uploads}}})
	r.err = nil
	if err := k.Report(t.Context(), menu.Alerts{Well: map[menu.Group]string{menu.Uploads: "x"}}); err != nil || r.take() != "" {
		t.Error("the end of what was never told", err)
	}
}

func TestMutedIsNotTold(t *testing.T) {
	k, r, _ := newKeeper(t)
	a := open("a")
	a.Open[0].Muted = true
	if err := k.Report(t.Context(), a); err != nil || r.take() != "" {
		t.Error("told", err)
	}
	a.Open[0].Muted = false
	if err := k.Report(t.Context(), a); err != nil || r.take() != "problem a" {
		t.Error("not told when no longer muted", err)
	}
}

func TestWelcomeAndSuccess(t *testing.T) {
	k, r, _ := newKeeper(t)
	for range 2 {
		if err := k.Welcome(t.Context(), Message{Event: Test}); err != nil {
			t.Fatal(err)
		}
		if err := k.Success(t.Context(), "full_20251013_030000", Message{Event: Completed}); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.take(); got != "test, completed" {
		t.Error(got)
	}
}

// Without a state directory nothing is made and nothing told.
func TestNoState(t *testing.T) {
	k, r, _ := newKeeper(t)
	k.Dir = filepath.Join(k.Dir, "none")
	if err := k.Report(t.Context(), open("a")); err != nil || r.take() != "" {
		t.Error(err)
	}
	if _, err := os.Stat(k.Dir); err == nil {
		t.Error("a state directory was made")
	}
}

// A damaged ledger is begun anew; one that cannot be written is an error, and the old one stands.
func TestLedgerFaults(t *testing.T) {
	faults := matrix.Of(t, "30")
	k, r, c := newKeeper(t)
	path := filepath.Join(k.Dir, ledgerName)
	for _, bad := range []string{"", "{", "[]", `{"incidents":3}`, "\x00"} {
		faults.Inject()
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := k.Report(t.Context(), open("a")); err != nil || r.take() != "problem a" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	before, _ := os.ReadFile(path)
	full := &Keeper{Dir: k.Dir, Now: c.now, Channels: k.Channels, FS: &fsx.FS{Fault: func(op fsx.Op, _ string) error {
		if op == fsx.OpWrite {
			return syscall.ENOSPC
		}
		return nil
	}}}
	if err := full.Report(t.Context(), open("b")); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Errorf("%s", after)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Error(fi.Mode(), err)
	}
}

// What a channel took without an answer may have been told: no process tries again at once.
func TestUnanswered(t *testing.T) {
	matrix.Count(t, 1, "30")
	k, r, c := newKeeper(t)
	r.err = fmt.Errorf("show: %w", context.DeadlineExceeded)
	if err := k.Report(t.Context(), open("a")); !errors.Is(err, r.err) {
		t.Fatal(err)
	}
	r.err = nil
	other := &Keeper{Dir: k.Dir, Now: c.now, Channels: k.Channels}
	if err := other.Report(t.Context(), open("a")); err != nil || r.take() != "" {
		t.Error("tried again at once:", err)
	}
	c.t = c.t.Add(retryAfter)
	if err := other.Report(t.Context(), open("a")); err != nil || r.take() != "problem a" {
		t.Error("never tried again:", err)
	}
}

// A channel that hangs takes its time and no more, and does not keep the others from telling.
func TestHangingChannel(t *testing.T) {
	matrix.Count(t, 1, "30")
	k, r, _ := newKeeper(t)
	k.Channels = []Channel{func(ctx context.Context, _ Message) error {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("no time limit")
		}
		return context.DeadlineExceeded
	}, r.channel}
	if err := k.Report(t.Context(), open("a")); !errors.Is(err, context.DeadlineExceeded) || r.take() != "problem a" {
		t.Error(err)
	}
}
