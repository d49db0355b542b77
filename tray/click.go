package tray

import (
	"context"
	"fmt"
	"strings"

	"maia-dr/tray/menu"
	"maia-dr/tray/notify"
)

// click carries out what a row asks for, as it is now: it may have been hidden or disabled after it was clicked.
func (l *loop) click(slot menu.Slot) {
	if slot < 0 || slot >= menu.Slots {
		return
	}
	row := l.shown.Rows[slot]
	if row.Label == "" || !row.Enabled {
		return
	}
	a := row.Action
	l.o.Log.Info().Str("verb", string(a.Verb)).Str("arg", a.Arg).Msg("clicked")
	switch a.Verb {
	case menu.DoStart:
		l.start(strings.Fields(a.Arg))
	case menu.DoStop:
		if l.job != nil {
			l.job.stop()
		}
	case menu.InTerminal:
		l.attempt("open a terminal", func(ctx context.Context) error { return inTerminal(ctx, &l.o, strings.Fields(a.Arg)) })
	case menu.InBackground:
		l.attempt("run maia-dr "+a.Arg, func(ctx context.Context) error {
			_, err := runQuietly(ctx, &l.o, strings.Fields(a.Arg)...)
			return err
		})
	case menu.DoOpen:
		l.attempt("open "+a.Arg, func(ctx context.Context) error { return openPath(ctx, a.Arg) })
	case menu.DoPause:
		l.choose(func(c *Choices) { _ = c.Pause(a.Arg, l.o.Now()) })
	case menu.DoMute:
		l.choose(func(c *Choices) { c.Mute(a.Arg, l.o.Now()) })
	case menu.DoUnmute:
		l.choose(func(c *Choices) { delete(c.Muted, a.Arg) })
	case menu.DoSchedule:
		l.toggle(a.Arg)
	case menu.DoQuit:
		l.stop()
	}
}

// start starts a run, unless one is active.
func (l *loop) start(args []string) {
	if l.active() || l.job != nil {
		return
	}
	l.state.JobTrouble, l.state.Trouble = "", ""
	args = append(args, "--quiet")
	if args[0] == "backup" {
		// The menu follows the upload itself.
		args = append(args, "--no-wait")
	}
	j, err := startJob(&l.o, args, func(exit int, said string) {
		select {
		case l.changes <- func() { l.ended(args[0], exit, said) }:
		case <-l.ctx.Done(): // the menu is gone before its job
		}
	})
	if err != nil {
		l.fail("start the "+args[0], err)
		return
	}
	l.job, l.jobAt = j, l.wall()
	l.ran("running", nil)
}

// Exit codes of a run after which the status tells all there is to know: it is done, if not in full, or was cancelled.
var told = map[int]bool{0: true, 3: true, 4: true, 130: true}

// ended takes up the end of a job. What kept it from its work is shown until the next one, because a run that never began
// leaves nothing in the status.
func (l *loop) ended(kind string, exit int, said string) {
	l.job = nil
	l.o.Log.Info().Str("run", kind).Int("exit", exit).Msg("ended")
	if !told[exit] {
		if said == "" {
			said = fmt.Sprintf("it ended with %d", exit)
		}
		l.state.JobTrouble = fmt.Sprintf("the %s: %s", kind, said)
	}
	l.state.Status.Activity, l.state.Status.Run, l.state.Own = "idle", nil, false
	l.look()
}

// attempt does something beside the loop, and shows what went wrong.
func (l *loop) attempt(what string, f func(ctx context.Context) error) {
	l.do(func(ctx context.Context) func() {
		err := f(ctx)
		return func() {
			if err != nil {
				l.fail(what, err)
			} else {
				l.state.Trouble = ""
			}
		}
	})
}

// fail shows that a click came to nothing.
func (l *loop) fail(what string, err error) {
	l.o.Log.Error().Err(err).Msg(what)
	l.state.Trouble, l.troubleAt = what+": "+err.Error(), l.wall()
}

func (l *loop) choose(change func(*Choices)) {
	l.do(func(context.Context) func() {
		c, err := ChangeChoices(l.o.StateDir, l.o.FS, l.o.Now(), change)
		return func() {
			if err != nil {
				l.fail("remember the choice", err)
				return
			}
			l.state.PausedUntil, l.state.Muted = c.PausedUntil, c.Muted
			l.tell()
		}
	})
}

// toggle switches the schedule; the menu shows what it then is, not what was asked for.
func (l *loop) toggle(arg string) {
	what, to, _ := strings.Cut(arg, " ")
	l.do(func(ctx context.Context) func() {
		err := l.o.Scheduler.Switch(ctx, what, to == "on")
		t, terr := l.o.Scheduler.Timetable(ctx)
		return func() {
			if err != nil {
				l.fail("change the schedule", err)
			}
			if terr == nil {
				l.state.Schedule = t
			}
		}
	})
}

// welcome sends a test notification at the first start.
func (l *loop) welcome() {
	if l.o.Keeper == nil {
		return
	}
	l.do(func(ctx context.Context) func() {
		err := l.o.Keeper.Welcome(ctx, notify.Message{
			Event: notify.Test, Title: "Maia Recovery is in the menu bar",
			Text: "This is how it will tell you when a backup needs you.", Remedy: notify.Hidden,
		})
		if err != nil {
			l.o.Log.Warn().Err(err).Msg("send the test notification")
		}
		return nil
	})
}
