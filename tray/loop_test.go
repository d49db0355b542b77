package tray

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"maia-dr/tray/menu"
	"maia-dr/tray/notify"
)

// board is a screen that remembers what it shows.
type board struct {
	mu     sync.Mutex
	now    menu.Menu
	shown  int
	resent int
	change chan struct{}
}

func (b *board) show(old, now menu.Menu) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old != b.now || old == now {
		panic("the difference is to something else than what is shown")
	}
	b.now = now
	b.shown++
	select {
	case b.change <- struct{}{}:
	default:
	}
}

func (b *board) refresh(m menu.Menu) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m != b.now {
		panic("another menu is sent again than is shown")
	}
	b.resent++
	select {
	case b.change <- struct{}{}:
	default:
	}
}

// engineOf is an Engine whose answers a test sets.
type engineOf struct {
	mu    sync.Mutex
	look  Look
	hold  chan struct{} // until it is closed, no look ends
	err   error
	looks int
}

func (e *engineOf) set(f func(*engineOf)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(e)
}

func (e *engineOf) Look(context.Context) (Look, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.looks++
	if hold := e.hold; hold != nil {
		e.mu.Unlock()
		<-hold
		e.mu.Lock()
	}
	return e.look, e.err
}

func (e *engineOf) Glance() (string, *menu.Run, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.look.Status.Activity, e.look.Status.Run, e.err
}

// switches is a Scheduler.
type switches struct {
	mu    sync.Mutex
	table menu.Timetable
	err   error
}

func (s *switches) Timetable(context.Context) (menu.Timetable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table, nil
}

func (s *switches) Switch(_ context.Context, what string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		switch what {
		case "daily":
			s.table.Daily = on
		case "login":
			s.table.AtLogin = on
		}
	}
	return s.err
}

// rig is a loop at work, with everything around it made up.
type rig struct {
	t        *testing.T
	board    *board
	engine   *engineOf
	schedule *switches
	dir      string
	clicks   chan menu.Slot
	opened   chan struct{}
	changed  chan struct{}
	ended    chan struct{}
	cancel   context.CancelFunc

	mu    sync.Mutex
	now   time.Time
	notes []notify.Message
}

func (r *rig) clock() time.Time { r.mu.Lock(); defer r.mu.Unlock(); return r.now }

func (r *rig) titles() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.notes {
		out = append(out, n.Title)
	}
	return out
}

var day = time.Date(2025, 10, 15, 9, 30, 0, 0, time.UTC)

func fineLook() Look {
	return Look{Status: menu.Status{
		Version: 1, Activity: "idle", Backups: 1, LogFile: "/log",
		LastBackup: &menu.Result{BackupID: "b", FinishedAt: day.Add(-time.Hour)},
		Newest:     &menu.Newest{BackupID: "b", CreatedAt: day.Add(-time.Hour)},
		OneDrive:   menu.Sync{State: "local_only", Path: "/o"}, Restore: menu.Proof{Why: "never"},
	}}
}

func startRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{
		t: t, board: &board{change: make(chan struct{}, 1)}, engine: &engineOf{look: fineLook()}, schedule: &switches{table: menu.Timetable{Known: true, Hour: 3}},
		dir: t.TempDir(), clicks: make(chan menu.Slot), opened: make(chan struct{}), changed: make(chan struct{}), ended: make(chan struct{}), now: day,
	}
	inVain, err := exec.LookPath("false")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		StateDir: r.dir, Now: r.clock, Engine: r.engine, Scheduler: r.schedule, Program: inVain, Can: menu.Capabilities{Terminal: true, Schedule: true}, Log: zerolog.Nop(),
		Keeper: &notify.Keeper{Dir: r.dir, Now: r.clock, Channels: []notify.Channel{func(_ context.Context, m notify.Message) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.notes = append(r.notes, m)
			return nil
		}}},
	}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	go func() {
		defer close(r.ended)
		newLoop(o).run(ctx, r.board, r.clicks, r.opened, r.changed)
	}()
	t.Cleanup(func() { r.cancel(); <-r.ended })
	return r
}

// wait waits until the screen satisfies a condition.
func (r *rig) wait(what string, ok func(m menu.Menu) bool) {
	r.t.Helper()
	limit := time.After(time.Minute)
	for {
		r.board.mu.Lock()
		m := r.board.now
		r.board.mu.Unlock()
		if ok(m) {
			return
		}
		select {
		case <-r.board.change:
		case <-limit:
			r.t.Fatalf("gave up waiting until %s:\n%s", what, m)
		}
	}
}

func (r *rig) waitFor(slot menu.Slot, label string) {
	r.t.Helper()
	r.wait(label, func(m menu.Menu) bool { return strings.HasPrefix(m.Rows[slot].Label, label) })
}

func TestLoopLeaksNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	r := startRig(t)
	r.waitFor(menu.LastBackup, "Last backup: 1 hour ago")
	r.cancel()
	<-r.ended
}

// What happens in the state folder is seen; what goes wrong with a look is shown.
func TestLoopLooks(t *testing.T) {
	r := startRig(t)
	r.waitFor(menu.LastBackup, "Last backup: 1 hour ago")
	r.engine.set(func(e *engineOf) { e.look.Status.Newest = &menu.Newest{BackupID: "c", CreatedAt: day} })
	r.changed <- struct{}{}
	r.waitFor(menu.LastBackup, "Last backup: just now")
	r.engine.set(func(e *engineOf) { e.err = errors.New("it is damaged\x00") })
	r.changed <- struct{}{}
	r.waitFor(menu.LastBackup, "Last backup: not known")
	r.wait("why", func(m menu.Menu) bool { return strings.Contains(m.String(), "it is damaged?") })
	r.engine.set(func(e *engineOf) { e.err = menu.ErrNewer })
	r.changed <- struct{}{}
	r.wait("that it is newer", func(m menu.Menu) bool { return strings.Contains(m.String(), "A newer version") })
	r.engine.set(func(e *engineOf) { e.err = nil })
	r.changed <- struct{}{}
	r.waitFor(menu.LastBackup, "Last backup: just now")
	// Opened after a while, the menu is fresh.
	r.mu.Lock()
	r.now = day.Add(2 * time.Hour)
	r.mu.Unlock()
	r.opened <- struct{}{}
	r.waitFor(menu.LastBackup, "Last backup: 2 hours ago")
	r.wait("icon and tooltip are sent again", func(menu.Menu) bool { r.board.mu.Lock(); defer r.board.mu.Unlock(); return r.board.resent > 0 })
}

// A folder that does not answer is a problem, and keeps nobody from quitting.
func TestLoopIsNotHeld(t *testing.T) {
	r := startRig(t)
	r.waitFor(menu.LastBackup, "Last backup: 1 hour ago")
	hold := make(chan struct{})
	defer close(hold)
	before := 0
	r.engine.set(func(e *engineOf) { e.hold, before = hold, e.looks })
	r.changed <- struct{}{}
	for asked := false; !asked; runtime.Gosched() {
		r.engine.set(func(e *engineOf) { asked = e.looks > before })
	}
	r.mu.Lock()
	r.now = day.Add(7 * time.Minute)
	r.mu.Unlock()
	r.opened <- struct{}{}
	r.waitFor(menu.Problem(0), "Problem: The OneDrive folder has not answered for 7 minutes")
	r.clicks <- menu.Quit
	<-r.ended
}

// A backup fails while the menu still looks at what was before: that look does not say that all is well again.
func TestLoopLookedBefore(t *testing.T) {
	r := startRig(t)
	r.waitFor(menu.LastBackup, "Last backup: 1 hour ago")
	hold := make(chan struct{})
	before := 0
	r.engine.set(func(e *engineOf) { e.hold, before = hold, e.looks })
	r.changed <- struct{}{}
	for asked := false; !asked; runtime.Gosched() {
		r.engine.set(func(e *engineOf) { asked = e.looks > before })
	}
	r.mu.Lock()
	r.now = day.Add(time.Second)
	r.mu.Unlock()
	other := &notify.Keeper{Dir: r.dir, Now: r.clock, Channels: []notify.Channel{func(context.Context, notify.Message) error { return nil }}}
	if err := other.Report(t.Context(), menu.Alerts{Open: []menu.Incident{{Key: menu.FailureKey + ":disk_full", Group: menu.Backups}}, AsOf: r.clock()}); err != nil {
		t.Fatal(err)
	}
	r.engine.set(func(e *engineOf) { e.hold, e.look.Status.Newest = nil, &menu.Newest{BackupID: "c", CreatedAt: day} })
	close(hold)
	r.waitFor(menu.LastBackup, "Last backup: just now")
	r.clicks <- menu.Quit
	<-r.ended
	if got := r.titles(); len(got) != 1 || got[0] != "Maia Recovery is in the menu bar" {
		t.Errorf("told %q", got)
	}
}

// A run elsewhere is followed although nothing tells of its end when it is killed.
func TestLoopFollowsARun(t *testing.T) {
	r := startRig(t)
	r.waitFor(menu.LastBackup, "Last backup: ")
	r.engine.set(func(e *engineOf) {
		e.look.Status.Activity, e.look.Status.Run = "running", &menu.Run{Kind: "backup", PID: 1, StartedAt: day, Phase: "capture", DoneBytes: 30, TotalBytes: 100, UpdatedAt: day}
	})
	r.changed <- struct{}{}
	r.waitFor(menu.Progress, "Backup, started elsewhere: reading your files, 30 % done")
	r.clicks <- menu.BackUp // disabled: nothing happens
	r.clicks <- menu.Cancel // hidden
	r.engine.set(func(e *engineOf) { e.look.Status.Activity = "interrupted" })
	r.wait("it is over", func(m menu.Menu) bool { return m.Rows[menu.Progress].Label == "" })
}

// A run that cannot begin says why; the next click tries again.
func TestLoopStartsInVain(t *testing.T) {
	r := startRig(t)
	r.wait("a backup can be made", func(m menu.Menu) bool {
		return m.Rows[menu.BackUp].Enabled && m.Rows[menu.LastBackup].Label != "Last backup: looking…"
	})
	r.clicks <- menu.BackUp
	r.waitFor(menu.Problem(0), "Problem: It did not work: the backup: it ended with 1")
	r.wait("it can be tried again", func(m menu.Menu) bool { return m.Rows[menu.BackUp].Enabled })
}

func TestLoopSwitches(t *testing.T) {
	r := startRig(t)
	r.waitFor(menu.Daily, "Back Up Daily at 03:00")
	r.clicks <- menu.Daily
	r.wait("it is on", func(m menu.Menu) bool { return m.Rows[menu.Daily].Ticked && !m.Rows[menu.AtLogin].Ticked })
	r.clicks <- menu.Daily
	r.wait("it is off", func(m menu.Menu) bool { return !m.Rows[menu.Daily].Ticked })
	r.schedule.mu.Lock()
	r.schedule.err = errors.New("launchd refused it")
	r.schedule.mu.Unlock()
	r.clicks <- menu.AtLogin
	r.wait("that it failed", func(m menu.Menu) bool {
		return strings.Contains(m.String(), "Problem: It did not work: change the schedule: launchd refused it") && !m.Rows[menu.AtLogin].Ticked
	})
}

func TestLoopPausesAndMutes(t *testing.T) {
	r := startRig(t)
	r.waitFor(menu.Pause, "Pause Backups")
	r.clicks <- menu.PauseTomorrow
	r.waitFor(menu.Pause, "Backups Are Paused Until Tomorrow 00:00")
	if c, err := ReadChoices(r.dir); err != nil || !c.PausedUntil.Equal(day.Add(14*time.Hour+30*time.Minute)) {
		t.Error(c, err)
	}
	r.clicks <- menu.Resume
	r.waitFor(menu.Pause, "Pause Backups")
	r.engine.set(func(e *engineOf) { e.look.Status.Problems = []menu.Trouble{{Code: "x_y", Text: "something"}} })
	r.changed <- struct{}{}
	r.waitFor(menu.Problem(0), "Problem: Something")
	r.clicks <- menu.Muting(0)
	r.waitFor(menu.Problem(0), "Muted until 22 October: Something")
	r.clicks <- menu.Muting(0)
	r.waitFor(menu.Problem(0), "Problem: Something")
	r.clicks <- menu.Quit
	<-r.ended
	if got := r.titles(); len(got) != 1 || got[0] != "Maia Recovery is in the menu bar" {
		t.Error(got)
	}
}

// 10,000 states leave neither goroutines nor memory behind, and nothing is drawn twice.
func TestLoopDoesNotGrow(t *testing.T) {
	l := newLoop(Options{Engine: &engineOf{}, Now: func() time.Time { return day }, StateDir: t.TempDir(), Log: zerolog.Nop()})
	b := &board{change: make(chan struct{}, 1)}
	l.screen = b
	change := func(n int) {
		look := fineLook()
		look.Status.Newest.StoredBytes = int64(n) * 1e6
		look.Status.Problems = []menu.Trouble{{Code: "c", Text: strings.Repeat("x", n%100)}}
		l.looked(look, nil)
		l.render()
		l.render()
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for n := range 1000 {
		change(n)
	}
	before, goroutines := heap(), runtime.NumGoroutine()
	for n := range 10000 {
		change(n)
	}
	if after := heap(); after > before+256<<10 || runtime.NumGoroutine() > goroutines {
		t.Errorf("%d bytes grew to %d, %d goroutines to %d", before, after, goroutines, runtime.NumGoroutine())
	}
	if b.shown != 11000 {
		t.Errorf("drawn %d times", b.shown)
	}
}

// What kept a run from its work is shown until the status tells of one that ended later; that a click came to nothing for
// ten minutes.
func TestTroubleEnds(t *testing.T) {
	now := day
	l := newLoop(Options{Engine: &engineOf{}, Now: func() time.Time { return now }, Log: zerolog.Nop()})
	l.ctx = t.Context()
	l.state.JobTrouble, l.jobAt = "the backup: it is busy", day
	l.fail("open it", errors.New("gone"))
	look := fineLook()
	l.looked(look, nil)
	if l.state.JobTrouble == "" || l.state.Trouble != "open it: gone" {
		t.Errorf("forgotten: %+v", l.state)
	}
	for name, change := range map[string]func(*menu.Status){
		"backup":  func(s *menu.Status) { s.LastBackup = &menu.Result{FinishedAt: day.Add(time.Minute)} },
		"failure": func(s *menu.Status) { s.LastFailure = &menu.Failure{At: day.Add(time.Minute)} },
		"drill":   func(s *menu.Status) { s.Restore.LastFull = &menu.Drilled{At: day.Add(time.Minute)} },
	} {
		l.state.JobTrouble = "x"
		look := fineLook()
		change(&look.Status)
		if l.looked(look, nil); l.state.JobTrouble != "" {
			t.Errorf("%s: it is still shown", name)
		}
	}
	l.lookedAt = day
	for minutes, shown := range []bool{9: true, 10: false} {
		if minutes < 9 {
			continue
		}
		now = day.Add(time.Duration(minutes) * time.Minute)
		l.ticked = now.Add(-time.Minute)
		if l.tick(); (l.state.Trouble != "") != shown {
			t.Errorf("after %d minutes: %q", minutes, l.state.Trouble)
		}
	}
}

func TestPace(t *testing.T) {
	var p pace
	run := func(phase string, done int64, seconds int) *menu.Run {
		return &menu.Run{StartedAt: day, Phase: phase, DoneBytes: done, UpdatedAt: day.Add(time.Duration(seconds) * time.Second)}
	}
	for i, step := range []struct {
		run  *menu.Run
		want float64
	}{
		{run("capture", 0, 0), 0}, {run("capture", 200, 2), 0}, {run("capture", 400, 4), 100}, {run("capture", 1000, 5), 200},
		{run("verify", 0, 6), 0}, {run("verify", 600, 9), 200}, {nil, 0}, {run("verify", 600, 20), 0},
	} {
		if got := p.measure(step.run); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}

func TestChoices(t *testing.T) {
	dir := t.TempDir()
	if c, err := ReadChoices(dir); err != nil || !c.PausedUntil.IsZero() || len(c.Muted) != 0 {
		t.Error(c, err)
	}
	var wg sync.WaitGroup
	for key := range strings.FieldsSeq("a b c d e f g h") {
		wg.Go(func() {
			if _, err := ChangeChoices(dir, nil, day, func(c *Choices) { c.Mute(key, day) }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c, err := ReadChoices(dir)
	if err != nil || len(c.Muted) != 8 || !c.Muted["a"].Equal(day.Add(7*24*time.Hour)) {
		t.Error("changes at the same time were lost:", c, err)
	}
	c, err = ChangeChoices(dir, nil, day.Add(8*24*time.Hour), func(c *Choices) { _ = c.Pause("hour", day) })
	if err != nil || len(c.Muted) != 0 || !c.PausedUntil.IsZero() {
		t.Error("what is over was kept:", c, err)
	}
	if err := os.WriteFile(filepath.Join(dir, choicesName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := ReadChoices(dir); err == nil || !c.PausedUntil.IsZero() {
		t.Error("a damaged file was read:", c)
	}
	if _, err := ChangeChoices(dir, nil, day, func(c *Choices) { _ = c.Pause("tomorrow", day) }); err != nil {
		t.Error(err)
	}
	if err := c.Pause("never", day); err == nil {
		t.Error("a word that is none")
	}
}

func TestTerminalScript(t *testing.T) {
	got := terminalScript(&Options{Program: "/a b/it's", Flags: []string{"--home", "$(x)"}}, []string{"verify", "full_1"})
	want := "#!/bin/bash\nclear\n" + `'/a b/it'\''s' '--home' '$(x)' 'verify' 'full_1' ` + "\ncode=$?\n"
	if !strings.HasPrefix(got, want) {
		t.Errorf("%q", got)
	}
}

func TestTimetable(t *testing.T) {
	got, err := parseTimetable([]byte(`{"version":1,"at":"04:30","next_backup":"2025-10-16T02:30:00Z","backup":{"installed":true},"menu":{"installed":false},"problems":[]}`))
	if want := (menu.Timetable{Known: true, Daily: true, Hour: 4, Minute: 30, Next: time.Date(2025, 10, 16, 2, 30, 0, 0, time.UTC)}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "{}", `{"version":2,"at":"03:00"}`, `{"version":1,"at":"noon"}`} {
		if got, err := parseTimetable([]byte(bad)); err == nil || got.Known {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestLastLine(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a\nmaia-dr: back up: it is broken\n  what to do: mend it\n": "back up: it is broken", "x\n\n": "x", strings.Repeat("y", 9000) + "\nz": "z",
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := lastLine(path); got != want {
			t.Errorf("%.20q: %q, want %q", text, got, want)
		}
	}
	if got := lastLine(filepath.Join(t.TempDir(), "none")); got != "" {
		t.Error(got)
	}
}
