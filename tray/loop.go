package tray

import (
	"context"
	"errors"
	"sync"
	"time"

	"maia-dr/tray/menu"
)

// How often the loop looks, where nothing tells it to.
const (
	// minute is how often times are shown anew, and how often the upload is looked at while files wait.
	minute = time.Minute
	// idleLook is how often everything is looked at although nothing happened.
	idleLook = 15 * time.Minute
	// glanceEvery is how often the progress of an active run is looked at.
	glanceEvery = time.Second
	// settle is for how long changes in the state folder are gathered before a look.
	settle = 250 * time.Millisecond
	// again is when icon and tooltip are sent once more after the start: desktops lose what comes while they take up an
	// icon.
	again = 500 * time.Millisecond
	// gap is a jump of the clock from which on the machine must have slept, or its clock was set.
	gap = 3 * minute
	// troubleFor is how long it is shown that a click came to nothing.
	troubleFor = 10 * minute
	// stale is the age of a look from which on opening the menu causes another.
	stale = 10 * time.Second
)

// loop owns the state of the menu.
type loop struct {
	o      Options
	screen screen
	state  menu.State
	shown  menu.Menu
	pace   pace
	job    *job

	// changes are what background work comes back with.
	changes chan func()
	work    sync.WaitGroup
	ctx     context.Context
	stop    context.CancelFunc

	looking, lookAgain bool
	telling, tellAgain bool
	// lookedAt is when the look began that the state is of, ticked when the last minute ended.
	lookedAt, ticked time.Time
	// jobAt is when the last job was started, troubleAt when the last click failed.
	jobAt, troubleAt time.Time
}

func newLoop(o Options) *loop {
	return &loop{o: o, state: menu.State{Can: o.Can, Version: o.Version}, changes: make(chan func())}
}

// run shows the menu until ctx ends or the owner quits. Background work has ended when it returns, but for jobs: they go
// on.
func (l *loop) run(ctx context.Context, s screen, clicks <-chan menu.Slot, opened, changed <-chan struct{}) {
	l.screen = s
	l.ctx, l.stop = context.WithCancel(ctx)
	defer l.work.Wait()
	defer l.stop()
	l.ticked = l.wall()
	minutes, glances, resend := time.NewTicker(minute), time.NewTicker(glanceEvery), time.NewTimer(again)
	defer minutes.Stop()
	defer glances.Stop()
	defer resend.Stop()
	glances.Stop()
	glancing := false
	var settled <-chan time.Time

	l.readChoices()
	l.readTimetable()
	l.look()
	l.welcome()
	for {
		l.render()
		if active := l.active(); active != glancing {
			// A run whose process is killed says nothing: while there is one, it is looked after.
			if glancing = active; active {
				glances.Reset(glanceEvery)
			} else {
				glances.Stop()
				l.look()
			}
		}
		select {
		case <-l.ctx.Done():
			return
		case f := <-l.changes:
			f()
		case slot := <-clicks:
			l.click(slot)
		case <-opened:
			if l.wall().Sub(l.lookedAt) > stale && !l.active() {
				l.look()
			}
		case <-changed:
			if settled == nil {
				settled = time.After(settle)
			}
		case <-settled:
			settled = nil
			l.readChoices()
			l.glance()
			if !l.active() {
				l.look()
			}
		case <-glances.C:
			l.glance()
		case <-minutes.C:
			l.tick()
		case <-resend.C:
			l.screen.refresh(l.shown)
		}
	}
}

// wall is the time without its monotonic part, which stands still while the machine sleeps.
func (l *loop) wall() time.Time { return l.o.Now().Round(0) }

func (l *loop) render() {
	m := menu.Build(l.state, l.o.Now())
	if m != l.shown {
		l.screen.show(l.shown, m)
		l.shown = m
	}
}

// tick is called once a minute.
func (l *loop) tick() {
	now := l.wall()
	passed := now.Sub(l.ticked)
	l.ticked = now
	if since := now.Sub(l.troubleAt); since < 0 || since >= troubleFor {
		l.state.Trouble = ""
	}
	o := &l.state.Status.OneDrive
	waits := o.Waiting > 0 || o.State == "pending" || o.State == "uploading"
	switch {
	case passed > gap, passed < 0:
		l.readTimetable()
		l.look()
	case now.Sub(l.lookedAt) >= idleLook:
		l.readTimetable()
		l.look()
	case waits:
		l.look()
	}
	// Time alone makes a backup overdue, and a reminder due.
	l.tell()
}

// do does something that takes time, and then what it returns in the loop.
func (l *loop) do(f func(ctx context.Context) func()) {
	l.work.Go(func() {
		change := f(l.ctx)
		if change == nil {
			return
		}
		select {
		case l.changes <- change:
		case <-l.ctx.Done():
		}
	})
}

// look looks at everything; one look at a time, and another after it if something happened meanwhile.
func (l *loop) look() {
	if l.looking {
		l.lookAgain = true
		return
	}
	l.looking = true
	began := l.wall()
	l.state.AskedAt = began
	l.do(func(ctx context.Context) func() {
		look, ended, err := l.lookAt(ctx)
		if !ended {
			return nil
		}
		return func() {
			l.looking, l.state.AskedAt = false, time.Time{}
			l.lookedAt = began
			l.looked(look, err)
			l.tell()
			if l.lookAgain {
				l.lookAgain = false
				l.look()
			}
		}
	})
}

// lookAt looks until ctx ends. A folder that does not answer holds the look for as long as it likes, but not the menu.
func (l *loop) lookAt(ctx context.Context) (look Look, ended bool, err error) {
	type result struct {
		look Look
		err  error
	}
	done := make(chan result, 1)
	go func() {
		look, err := l.o.Engine.Look(ctx)
		done <- result{look, err}
	}()
	select {
	case r := <-done:
		return r.look, true, r.err
	case <-ctx.Done():
		return Look{}, false, nil
	}
}

// looked takes up what a look found.
func (l *loop) looked(look Look, err error) {
	l.state.Loaded, l.state.Failure, l.state.Newer = true, "", false
	switch {
	case errors.Is(err, menu.ErrNewer):
		l.state.Newer = true
	case err != nil:
		l.state.Failure = err.Error()
		l.o.Log.Error().Err(err).Msg("look at the status")
	default:
		l.state.Status, l.state.Recent = look.Status, look.Recent
		if tells(&look.Status, l.jobAt) {
			l.state.JobTrouble = ""
		}
	}
	l.ran(l.state.Status.Activity, l.state.Status.Run)
}

// tells reports whether a status tells of a run that ended after t: then nothing more has to be said of a job of that time.
func tells(s *menu.Status, t time.Time) bool {
	if b := s.LastBackup; b != nil && b.FinishedAt.After(t) {
		return true
	}
	if f := s.LastFailure; f != nil && f.At.After(t) {
		return true
	}
	for _, d := range []*menu.Drilled{s.Restore.LastFull, s.Restore.LastLight} {
		if d != nil && d.At.After(t) {
			return true
		}
	}
	return false
}

// glance looks at the active run alone.
func (l *loop) glance() {
	l.do(func(context.Context) func() {
		activity, run, err := l.o.Engine.Glance()
		return func() {
			if err == nil {
				l.ran(activity, run)
			}
		}
	})
}

// ran takes up what is active. A job that has not written its status yet is active all the same.
func (l *loop) ran(activity string, run *menu.Run) {
	if l.job != nil && activity != "running" {
		activity, run = "running", nil
	}
	l.state.Status.Activity, l.state.Status.Run = activity, run
	l.state.Own = l.job != nil && (run == nil || run.PID == l.job.pid)
	l.state.BytesPerSecond = 0
	if activity == "running" {
		l.state.BytesPerSecond = l.pace.measure(run)
	}
}

func (l *loop) active() bool { return l.state.Status.Activity == "running" }

// tell tells of what has begun, lasts or is over.
func (l *loop) tell() {
	if l.o.Keeper == nil || !l.state.Loaded || l.active() {
		return
	}
	if l.telling {
		l.tellAgain = true
		return
	}
	l.telling = true
	alerts := menu.Alert(l.state, l.o.Now())
	// A run may have ended since, and told of it.
	alerts.AsOf = l.lookedAt
	l.do(func(ctx context.Context) func() {
		if err := l.o.Keeper.Report(ctx, alerts); err != nil {
			l.o.Log.Warn().Err(err).Msg("notify")
		}
		return func() {
			l.telling = false
			if l.tellAgain {
				l.tellAgain = false
				l.tell()
			}
		}
	})
}

func (l *loop) readChoices() {
	l.do(func(context.Context) func() {
		c, err := ReadChoices(l.o.StateDir)
		if err != nil {
			l.o.Log.Warn().Err(err).Msg("read the choices")
		}
		return func() { l.state.PausedUntil, l.state.Muted = c.PausedUntil, c.Muted }
	})
}

func (l *loop) readTimetable() {
	if l.o.Scheduler == nil {
		return
	}
	l.do(func(ctx context.Context) func() {
		t, err := l.o.Scheduler.Timetable(ctx)
		if err != nil {
			l.o.Log.Warn().Err(err).Msg("read the schedule")
			t = menu.Timetable{}
		}
		return func() { l.state.Schedule = t }
	})
}
