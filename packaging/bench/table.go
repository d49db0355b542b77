package main

import (
	"fmt"
	"strings"
)

// figures are the medians of one tool: seconds and bytes.
type figures struct {
	name                                  string
	first, cpu, stored, unchanged, day    float64
	added, addedFiles                     float64
	restore, verify, repository           float64
	rssFirst, rssDay, rssRestore, rssMost float64
	whole                                 bool // times are those of whole commands where the others end at the commit
}

// summarize computes the medians; whole takes backups with what follows their commit.
func summarize(r *result, whole bool) figures {
	time := run.toCommit
	if whole {
		time = seconds
	}
	return figures{
		name: r.Name, whole: whole, first: medianOf(r.First, time), cpu: medianOf(r.First, cpu), stored: medianOf(r.First, stored),
		unchanged: medianOf(r.Unchanged, time), day: medianOf(r.EachDay, time), added: medianOf(r.EachDay, added),
		addedFiles: medianOf(r.EachDay, func(r run) float64 { return float64(r.AddedFiles) }),
		restore:    medianOf(r.Restore, seconds), verify: medianOf(r.Verify, seconds), repository: float64(r.Repository),
		rssFirst: medianOf(r.First, rss), rssDay: medianOf(r.EachDay, rss), rssRestore: medianOf(r.Restore, rss), rssMost: largest(r.all(), rss),
	}
}

// knowsCommit tells whether the program said when its backups were complete.
func knowsCommit(r *result) bool {
	return len(r.First) > 0 && r.First[0].Commit > 0
}

// ours returns the program's own results, without and with a vault; either may be nil.
func (r *report) ours() (plain, vault *result) {
	for _, one := range r.Results {
		switch {
		case one.Ours && plain == nil:
			plain = one
		case one.Ours:
			vault = one
		}
	}
	return plain, vault
}

// table is the comparison as Markdown.
func (r *report) table() string {
	var t strings.Builder
	fmt.Fprintf(&t, "| | first: s | its CPU s | stored MB | no change: s | a day: s | added MB | new files | restore s | verify s | %d backups MB | peak MB first/day/restore |\n", r.Days+1)
	t.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	plain, _ := r.ours()
	var base figures
	if plain != nil {
		base = summarize(plain, false)
	}
	for _, one := range r.Results {
		if one.Failed != "" && len(one.First) == 0 {
			continue
		}
		f := summarize(one, false)
		if !one.Ours {
			t.WriteString(f.row(base))
			continue
		}
		if knowsCommit(one) {
			f.name += ", until the commit"
			t.WriteString(f.row(figures{}))
			f = summarize(one, true)
			f.name += ", the whole command"
		}
		t.WriteString(f.row(figures{}))
	}
	return t.String()
}

// row is one line of the table; what was measured of base is compared with it.
func (f figures) row(base figures) string {
	cell := func(text string, value, ofBase float64) string {
		if value == 0 {
			return "-"
		}
		return text + ratio(value, ofBase)
	}
	time := func(value, ofBase float64) string { return cell(figure(value), value, ofBase) }
	mb := func(value, ofBase float64) string { return cell(megabytes(value), value, ofBase) }
	cells := []string{
		f.name, time(f.first, base.first), time(f.cpu, base.cpu), mb(f.stored, base.stored), time(f.unchanged, base.unchanged), time(f.day, base.day),
		mb(f.added, base.added), fmt.Sprintf("%.0f", f.addedFiles), time(f.restore, base.restore), time(f.verify, base.verify), mb(f.repository, base.repository),
		fmt.Sprintf("%.0f/%.0f/%.0f", f.rssFirst/1e6, f.rssDay/1e6, f.rssRestore/1e6),
	}
	if f.whole { // the rest is said in the line before
		for _, i := range []int{2, 3, 6, 7, 8, 9, 10, 11} {
			cells[i] = ""
		}
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// notes say what was compared with what, a line each.
func (r *report) notes() string {
	var n strings.Builder
	for _, one := range r.Results {
		fmt.Fprintf(&n, "- %s: %s.\n", one.Name, strings.TrimSuffix(one.About, "."))
		if one.Failed != "" {
			fmt.Fprintf(&n, "  It failed and was given up. %s\n", oneLine(one.Failed))
		}
	}
	if r.Pip > 0 {
		fmt.Fprintf(&n, "- In each run the program asks pip for its two lists of packages, which by themselves take %s s here.\n", figure(r.Pip))
	}
	for _, text := range r.LeftOut {
		fmt.Fprintf(&n, "- Left out: %s.\n", oneLine(text))
	}
	return n.String()
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// head says when, where and how.
func (r *report) head() string {
	text := fmt.Sprintf("%s, %s, `%s`.", r.Date, r.Machine, r.Command)
	if len(r.Results) > 0 {
		text += fmt.Sprintf(" %s; medians of %d, of a day of %d.", r.Sample, r.Runs, r.Days)
	}
	return text + "\n"
}

// short is what README.md shows, long what docs/benchmarks.md keeps.
func (r *report) short() string {
	return r.head() + "\n" + r.table() + "\n" + goalTable(r.goals())
}

func (r *report) long(change string) string {
	text := "### " + r.Date + "\n\n"
	if change != "" {
		text += change + "\n\n"
	}
	text += r.head()
	if len(r.Results) > 0 {
		text += "\n" + r.table() + "\n" + goalTable(r.goals()) + "\n" + r.notes()
	}
	if len(r.Curves) > 0 {
		text += "\n" + curveTable(r.Curves)
	}
	return text
}
