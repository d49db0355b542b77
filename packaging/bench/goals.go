package main

import (
	"fmt"
	"strings"
)

// goal is one promise and what came of it.
type goal struct {
	text     string
	measured string // empty: it was not measured
	met      bool
}

func (g goal) verdict() string {
	switch {
	case g.measured == "":
		return "not measured"
	case g.met:
		return "met"
	}
	return "missed"
}

// find returns the figures of a peer by name; ok is false where it was not measured to the end.
func (r *report) find(name string) (f figures, ok bool) {
	for _, one := range r.Results {
		if one.Name == name && one.Failed == "" {
			return summarize(one, false), true
		}
	}
	return f, false
}

// fastest returns the smallest of a figure among the peers that keep a history, and whose it is.
func (r *report) fastest(pick func(figures) float64) (value float64, name string) {
	for _, one := range r.Results {
		if one.Ours || !one.History || one.Failed != "" {
			continue
		}
		if v := pick(summarize(one, false)); v > 0 && (name == "" || v < value) {
			value, name = v, one.Name
		}
	}
	return value, name
}

// limit makes a goal of a value that may be at most limit, both written by format.
func limit(text string, value, most float64, format func(float64) string) goal {
	if value <= 0 {
		return goal{text: text}
	}
	return goal{text: text, measured: format(value), met: value <= most}
}

// times makes a goal of a ratio that may be at most most of somebody's.
func times(text string, ours, theirs, most float64, whose string) goal {
	if ours <= 0 || theirs <= 0 {
		return goal{text: text}
	}
	measured := fmt.Sprintf("%.2f × %s", ours/theirs, whose)
	if ours*4 < theirs {
		measured = fmt.Sprintf("1/%s × %s", figure(theirs/ours), whose)
	}
	return goal{text: text, measured: measured, met: ours/theirs <= most}
}

func inSeconds(v float64) string   { return figure(v) + " s" }
func inMegabytes(v float64) string { return megabytes(v) + " MB" }

// footprintDays is the number of days of the goal for the repository's size: with the first backup, 23.
const footprintDays = 22

// goals holds what was measured against what was promised.
func (r *report) goals() []goal {
	plain, vault := r.ours()
	if plain == nil {
		return nil
	}
	f := summarize(plain, false)
	restic, _ := r.find("restic")
	fixed, _ := r.find("borg fixed 64 KiB")
	firstPeer, firstName := r.fastest(func(f figures) float64 { return f.first })
	dayPeer, dayName := r.fastest(func(f figures) float64 { return f.day })
	chunks := goal{text: "a day's new chunk files: at most 2"}
	if len(plain.EachDay) > 0 {
		most := largest(plain.EachDay, func(r run) float64 { return float64(r.Chunks) })
		chunks.measured, chunks.met = fmt.Sprintf("%.0f at most", most), most <= 2
	}
	all := []goal{
		times("a day's upload: at most 1/15 of restic's", f.added, restic.added, 1.0/15, "restic"),
		times("and 1/6 of borg's with fixed 64 KiB", f.added, fixed.added, 1.0/6, "borg"),
		chunks,
		times("a day's backup until the commit: at most 2/3 of the fastest peer with history", f.day, dayPeer, 2.0/3, dayName),
		times("no change: at most 1/6 of restic's time", f.unchanged, restic.unchanged, 1.0/6, "restic"),
		vaultGoal(f, vault),
		times("first backup: at most 0.8 of the fastest peer with history", f.first, firstPeer, 0.8, firstName),
		times("stored: at most 1.25 times restic's", f.stored, restic.stored, 1.25, "restic"),
		times("restore: at most 0.8 of restic's", f.restore, restic.restore, 0.8, "restic"),
		times("verify: no slower than restic check --read-data", f.verify, restic.verify, 1, "restic"),
		times("chunk hashes alone: a tenth of that", medianOf(plain.Hashes, seconds), restic.verify, 0.1, "restic"),
		limit("the script with perl: within 60 s", medianOf(plain.Perl, seconds), 60, inSeconds),
		limit("the script with zsh: within 60 s", medianOf(plain.Zsh, seconds), 60, inSeconds),
	}
	size := goal{text: "23 consecutive days: under 350 MB"}
	if r.Days == footprintDays {
		size = limit(size.text, f.repository, 350e6, inMegabytes)
	}
	most := f.rssMost
	if vault != nil {
		most = max(most, largest(vault.all(), rss))
	}
	return append(all, size,
		limit("peak memory of any command: under 150 MB", most, 150e6, inMegabytes),
		limit("`maia-dr version`: under 20 ms", medianOf(plain.Version, seconds), 0.020, func(v float64) string { return fmt.Sprintf("%.1f ms", v*1000) }))
}

// vaultGoal compares a backup without a change with and without a vault.
func vaultGoal(plain figures, vault *result) goal {
	g := goal{text: "no change, with a vault: at most 0.4 s more"}
	if vault == nil || vault.Failed != "" || len(vault.Unchanged) == 0 || plain.unchanged == 0 {
		return g
	}
	more := summarize(vault, false).unchanged - plain.unchanged
	g.measured, g.met = fmt.Sprintf("%+.2f s", more), more <= 0.4
	return g
}

func goalTable(goals []goal) string {
	if len(goals) == 0 {
		return ""
	}
	var t strings.Builder
	t.WriteString("| goal | measured | |\n|---|---|---|\n")
	for _, g := range goals {
		fmt.Fprintf(&t, "| %s | %s | %s |\n", g.text, g.measured, g.verdict())
	}
	return t.String()
}
