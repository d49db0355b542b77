package engine

import (
	"fmt"
	"slices"
	"time"

	"maia-dr/engine/config"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// ProvenFor is how long a full drill that passed proves that a restore works.
const ProvenFor = 8 * 24 * time.Hour

const (
	slowAfter = 30 * time.Minute // what a whole restore may take
	slowLeast = 5 * time.Second  // less than this more is noise
	slowHint  = "look at what else ran meanwhile and at what grew with `maia-dr diff`; the phases are in `maia-dr status --json`"
)

// slow says in what way a full drill took too long: past 30 minutes, or half as long again as the median of the last
// five like it.
func slow(d *state.Drill, history []state.HistoryEntry) string {
	if d.RestoreSeconds > slowAfter.Seconds() {
		return fmt.Sprintf("the restore took %.0f minutes; 30 are what it may take", d.RestoreSeconds/60)
	}
	var like []float64
	for i := len(history) - 1; i >= 0 && len(like) < 5; i-- {
		if h := history[i].Drill; h != nil && h.Passed && !h.Light && h.Script == d.Script && (h.DownloadedBytes > 0) == (d.DownloadedBytes > 0) {
			like = append(like, h.RestoreSeconds)
		}
	}
	if len(like) < 3 {
		return ""
	}
	slices.Sort(like)
	median := like[len(like)/2]
	if d.RestoreSeconds > 1.5*median && d.RestoreSeconds-median > slowLeast.Seconds() {
		return fmt.Sprintf("the restore took %.0f s, and %.0f s in the median of the last %d", d.RestoreSeconds, median, len(like))
	}
	return ""
}

// Reasons for which a restore is not proven.
const (
	UnprovenNever     = "never"
	UnprovenOld       = "older_than_8_days"
	UnprovenFailed    = "failed"
	UnprovenLightOnly = "light_only"
	UnprovenVault     = "vault_not_opened"
)

var unprovenText = map[string]string{
	UnprovenNever:     "there was no drill yet",
	UnprovenLightOnly: "there was only a light drill yet",
	UnprovenFailed:    "the last drill failed",
	UnprovenVault:     "the last full drill could not open the vault",
	UnprovenOld:       "the last full drill is older than 8 days",
}

// UnprovenText says for people why a restore is not proven.
func UnprovenText(why string) string { return unprovenText[why] }

// restoreStatus says whether a restore is proven. A drill that failed since takes that away, a light one too.
func (e *Engine) restoreStatus(d *state.Drills, m *repository.Manifest) RestoreStatus {
	s := RestoreStatus{LastLight: d.LastLight, LastFull: d.LastFull, DrillsRun: d.Run, DrillsPassed: d.Passed, Estimate: e.estimate(d, m)}
	last := d.LastFull
	if last == nil || d.LastLight != nil && d.LastLight.At.After(last.At) {
		last = d.LastLight
	}
	switch {
	case last == nil:
		s.Why = UnprovenNever
	case !last.Passed || d.LastFull != nil && !d.LastFull.Passed:
		s.Why = UnprovenFailed
	case d.LastFull == nil:
		s.Why = UnprovenLightOnly
	case !d.LastFull.Proves():
		s.Why = UnprovenVault
	case e.now().Sub(d.LastFull.At) >= ProvenFor:
		s.Why = UnprovenOld
	default:
		s.Proven = true
	}
	return s
}

// drillProblems are the drills' part of the open problems.
func drillProblems(d *state.Drills) []state.Problem {
	var out []state.Problem
	for _, x := range []struct {
		kind string
		d    *state.Drill
	}{{"full", d.LastFull}, {"light", d.LastLight}} {
		switch {
		case x.d == nil:
		case !x.d.Passed:
			text := fmt.Sprintf("the last %s drill, of %s, found %s", x.kind, x.d.BackupID, counted(x.d.ProblemCount, "problem", "problems"))
			if len(x.d.Problems) > 0 {
				text += ": " + x.d.Problems[0]
			}
			out = append(out, state.Problem{Code: "drill_failed", Text: text, Hint: drillHint})
		case x.d.Slow != "":
			out = append(out, state.Problem{Code: "drill_slow", Text: x.d.Slow, Hint: slowHint})
		}
	}
	return out
}

const drillHint = "run `maia-dr verify --all`, which mends what it can, make a new backup, and rehearse it with `maia-dr drill`"

// DrillDue reports whether a full drill should run now: the configured weekday has come since the last one, or there
// was none. A drill that failed is not repeated before the next one is due.
func (e *Engine) DrillDue(now time.Time) bool {
	day, on := e.opt.Config.Schedule.DrillDay()
	st, _, err := e.state.ReadStatus()
	if err != nil || !on || st.LastBackup == nil {
		return false
	}
	zone := e.env.Zone
	if zone == nil {
		zone = time.UTC
	}
	local := now.In(zone)
	back := (int(local.Weekday()) - int(day) + 7) % 7
	since := time.Date(local.Year(), local.Month(), local.Day()-back, 0, 0, 0, 0, zone)
	return st.Drills.LastFull == nil || st.Drills.LastFull.At.Before(since)
}

// restorationMetadata is what the manifest of a new backup says a restore takes.
func (e *Engine) restorationMetadata() repository.RestorationMetadata {
	out := repository.RestorationMetadata{RequiresUserInput: []string{"maia_location"}}
	e.statusMu.Lock()
	defer e.statusMu.Unlock()
	if d := e.status.Drills.Proof; d != nil {
		at := d.At
		out.EstimatedTimeMinutes, out.MeasuredAt = d.RestoreSeconds/60, &at
	}
	return out
}

// rehearse runs the light drill of a backup that was just made, unless drills are off. Whatever it finds comes too late
// for the manifest.
func (b *backup) rehearse() {
	if b.e.opt.Config.Schedule.Drill == config.DrillOff {
		return
	}
	o := DrillOptions{Backup: b.manifest.BackupID, Light: true}
	if p := b.password; p != nil {
		o.Password = passwordOnce(*p)
	}
	res, err := b.e.drill(b.ctx, o)
	switch {
	case err != nil:
		b.lateWarning("drill_not_done", "", fmt.Sprintf("the backup is complete, but its light drill could not be done: %v", err), "run `maia-dr drill`")
		return
	case !res.Passed:
		b.lateWarning("drill_failed", "", fmt.Sprintf("the light drill found %s: %s", counted(len(res.Problems), "problem", "problems"), res.Problems[0]), drillHint)
	}
	b.drill = &res.Drill
}
