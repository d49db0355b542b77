package cli

import (
	"context"
	"os"
	"runtime"

	"maia-dr/engine"
	"maia-dr/tray/notify"
)

// checkSchedule says whether backups are made by themselves: what is installed, and whether the system keeps to it. An
// agent of ours that the system does not act on is installed again with fix: that changes nothing else.
func (a *app) checkSchedule(ctx context.Context, e *engine.Engine, fix bool) []engine.Check {
	r, err := a.scheduleReport(ctx, e)
	if err != nil {
		return []engine.Check{errorCheck(engine.CheckSchedule, engine.CheckAttention, err)}
	}
	var out []engine.Check
	for _, p := range r.Problems {
		c := engine.Check{Name: engine.CheckSchedule, State: engine.CheckAttention, Text: p.Text, Remedy: p.Hint}
		if fix && p.Code == "schedule_not_loaded" {
			if _, err := a.installSchedule(ctx, "", "backup"); err != nil {
				c.Text += "; installing it again failed: " + err.Error()
			} else {
				c.State, c.Fixed, c.Remedy = engine.CheckOK, true, ""
			}
		}
		out = append(out, c)
	}
	if len(out) > 0 {
		return out
	}
	now := a.Env.Now()
	c := engine.Check{Name: engine.CheckSchedule, State: engine.CheckOK, Text: "daily at " + r.At + ", next " + moment(now, r.NextBackup)}
	switch l := r.LastRun; {
	case l != nil:
		c.Text += "; last started " + ago(now, l.At) + ": " + outcomes[l.Outcome]
	default:
		c.State, c.Text = engine.CheckUnknown, c.Text+"; the system has not started it yet"
	}
	if !r.PausedUntil.IsZero() {
		c.Text += "; paused until " + moment(now, r.PausedUntil)
	}
	return []engine.Check{c}
}

// checkNotifications says whether there is a way to tell somebody. That a notification was seen is never known.
func (a *app) checkNotifications(ctx context.Context) []engine.Check {
	var out []engine.Check
	for _, ch := range []struct {
		on      bool
		account string
	}{{a.config.Notify.Webhook, notify.WebhookAccount}, {a.config.Notify.Healthcheck, notify.HealthcheckAccount}} {
		if !ch.on {
			continue
		}
		c := engine.Check{Name: engine.CheckNotifications, State: engine.CheckOK, Text: "the address of the " + ch.account + " is in the Keychain"}
		if _, err := a.address(ch.account)(ctx); err != nil {
			c.State, c.Text = engine.CheckAttention, "the "+ch.account+" is switched on, and its address cannot be read: "+err.Error()
			c.Remedy = "set it with `maia-dr notify set " + ch.account + "`"
		}
		out = append(out, c)
	}
	screen := engine.Check{Name: engine.CheckNotifications, State: engine.CheckUnknown,
		Text: "whether they are seen cannot be found out: `maia-dr notify test` sends one"}
	if err := notify.Path(a.Env.Getenv, os.Getuid()); err != nil {
		screen.Text = "nothing can be shown on the screen: " + err.Error()
	} else if runtime.GOOS == "darwin" {
		screen.Remedy = notify.Hidden
	}
	return append(out, screen)
}
