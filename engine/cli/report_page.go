package cli

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
)

//go:embed report.html
var reportText string

var reportTemplate = template.Must(template.New("report").Parse(reportText))

// reportPage is a report in the words and shapes of its page.
type reportPage struct {
	Mark              template.HTML // engine.ReportMark, which is ours
	Host, Made, Ident string
	Problem           string
	Answers           []reportAnswer
	Weeks             []reportWeek
	Legend            []dayMark
	Facts             []reportFact
	Charts            []reportFigure
	Meter             reportMeter
	Findings          []reportFinding
	Components        [][]string
	NotIn             [][]string
	Coverage          string
	Retained          [][]string
}

type reportAnswer struct{ Question, Verdict, Class, Text string }

type reportFact struct{ Name, Value string }

// reportFigure is a chart, or says why there is none.
type reportFigure struct {
	Title, Note string
	Chart       *chart
}

type reportMeter struct {
	Text    string
	Percent float64
	Over    bool
}

type reportFinding struct {
	Word, Class, Title string
	Text, Remedy       []span
}

// span is a part of a text; Code: what stands between backquotes.
type span struct {
	Text string
	Code bool
}

func spans(text string) []span {
	var out []span
	for i, part := range strings.Split(clean(text), "`") {
		if part != "" {
			out = append(out, span{part, i%2 == 1})
		}
	}
	return out
}

// reportWeek is a row of the calendar, Monday first.
type reportWeek struct {
	From string
	Days [7]reportCell
}

// reportCell is a day of the calendar: its marks, and the same in words. Number is 0 outside of the report.
type reportCell struct {
	Number int
	Words  string
	Class  string
	Marks  []dayMark
}

// dayMark is a sign in the calendar, and what it means.
type dayMark struct{ Sign, Class, Words string }

var (
	markComplete = dayMark{"✓", "good", "backed up"}
	markWarnings = dayMark{"!", "warn", "backed up, with warnings"}
	markFailed   = dayMark{"✗", "bad", "the backup failed"}
	markMissed   = dayMark{"–", "bad", "missed: there was no backup"}
	markUploaded = dayMark{"↑", "good", "OneDrive reports it uploaded"}
	markVerified = dayMark{"⇑", "good", "verified in the cloud"}
	markProven   = dayMark{"★", "good", "a full drill proved a restore"}
	markDrilled  = dayMark{"☆", "warn", "a full drill passed, but left the vault closed"}
	markDrillBad = dayMark{"▽", "bad", "a full drill failed"}
)

// writeReport writes the page.
func writeReport(w io.Writer, r *engine.Report) error {
	s := r.Status
	p := &reportPage{
		Mark: engine.ReportMark, Host: clean(r.Host), Made: r.GeneratedAt.Local().Format("Monday 2 January 2006, 15:04"),
		Ident: "maia-dr " + clean(r.Program), Problem: clean(r.Problem), Answers: reportAnswers(r), Weeks: calendar(r.Days),
		Legend: []dayMark{markComplete, markWarnings, markFailed, markMissed, markUploaded, markVerified, markProven, markDrilled, markDrillBad},
		Charts: reportCharts(r), Facts: reportFacts(r), Coverage: coverageText(&r.Coverage),
	}
	p.Meter = reportMeter{Percent: round(min(100, 100*float64(s.TotalBytes)/float64(r.LimitBytes))), Over: s.TotalBytes >= r.LimitBytes,
		Text: fmt.Sprintf("%s of %s", size(s.TotalBytes), size(r.LimitBytes))}
	for _, c := range r.Findings {
		class := map[engine.CheckState]string{engine.CheckFailed: "bad", engine.CheckAttention: "warn"}[c.State]
		p.Findings = append(p.Findings, reportFinding{strings.ToLower(checkWords[c.State]), class, checkTitles[c.Name], spans(c.Text), spans(c.Remedy)})
	}
	for _, c := range r.Components {
		note := ""
		if c.Databases > 0 {
			note = count(c.Databases, "database", "databases")
		}
		bytes := size(c.SourceBytes)
		if c.Name == "secrets" {
			bytes = "sealed" // its size is nobody's business
		}
		p.Components = append(p.Components, []string{clean(c.Name), count(c.Entries, "entry", "entries"), bytes, note})
	}
	for i := range p.Answers {
		p.Answers[i].Text = tight(p.Answers[i].Text)
	}
	for i := range p.Facts {
		p.Facts[i].Value = tight(p.Facts[i].Value)
	}
	p.NotIn = notInBackup(&r.Coverage)
	for _, b := range r.Retained {
		why := strings.Join(b.Reasons, "; ")
		if why == "" {
			why = "no rule: the next prune removes it"
		}
		p.Retained = append(p.Retained, []string{clean(b.BackupID), b.CreatedAt.Local().Format("Mon 2 Jan 2006 15:04"), size(b.SourceBytes), size(b.StoredBytes), clean(stateText(b.BackupInfo)), clean(why)})
	}
	return reportTemplate.Execute(w, p)
}

// calendar puts the days into weeks.
func calendar(days []engine.ReportDay) []reportWeek {
	var out []reportWeek
	for i := range days {
		date, err := time.Parse(time.DateOnly, days[i].Date)
		if err != nil {
			continue
		}
		column := (int(date.Weekday()) + 6) % 7
		if len(out) == 0 || column == 0 {
			out = append(out, reportWeek{From: date.AddDate(0, 0, -column).Format("2 Jan")})
		}
		out[len(out)-1].Days[column] = dayCell(&days[i], date)
	}
	return out
}

func dayCell(d *engine.ReportDay, date time.Time) reportCell {
	c := reportCell{Number: date.Day()}
	words := []string{"not over yet"}
	add := func(m dayMark) { c.Marks = append(c.Marks, m) }
	switch d.Backup {
	case engine.DayComplete:
		add(markComplete)
	case engine.DayWarnings:
		add(markWarnings)
	case engine.DayFailed:
		add(markFailed)
	case engine.DayMissed:
		add(markMissed)
	}
	switch d.Upload {
	case onedrive.CloudVerified.String():
		add(markVerified)
	case onedrive.ClientUploaded.String():
		add(markUploaded)
	}
	switch {
	case d.Drill == "failed":
		add(markDrillBad)
	case d.Proven:
		add(markProven)
	case d.Drill == "passed":
		add(markDrilled)
	}
	if len(c.Marks) > 0 {
		words = nil
		c.Class = c.Marks[0].Class
	}
	for _, m := range c.Marks {
		words = append(words, m.Words)
	}
	c.Words = date.Format("Mon 2 Jan") + ": " + strings.Join(words, ", ")
	return c
}

// reportFacts are single numbers.
func reportFacts(r *engine.Report) []reportFact {
	s := r.Status
	rate := "no day was due yet"
	if n := r.Success.Due; n > 0 {
		rate = fmt.Sprintf("%d of %s (%d %%)", r.Success.Complete, count(n, "day", "days"), 100*r.Success.Complete/n)
	}
	drills := "none yet"
	if s.Restore.DrillsRun > 0 {
		drills = fmt.Sprintf("%d of %d passed", s.Restore.DrillsPassed, s.Restore.DrillsRun)
	}
	saved := "no backup yet"
	if r.RetainedSourceBytes > 0 {
		saved = fmt.Sprintf("%s in %s, stored in %s", size(r.RetainedSourceBytes), count(len(r.Retained), "backup", "backups"), size(s.TotalBytes))
		if s.TotalBytes > 0 {
			saved += fmt.Sprintf(" (%.1f to 1)", float64(r.RetainedSourceBytes)/float64(s.TotalBytes))
		}
	}
	return []reportFact{{"Days with a complete backup, of the last 30 that were due", rate}, {"Restore drills, light ones too", drills}, {"Kept", saved}}
}

// The limits that the charts show, in seconds: what a backup, its upload and a restore may take.
const (
	backupLimit, uploadLimit, restoreLimit = 15 * 60, 30 * 60, 30 * 60
)

func reportCharts(r *engine.Report) []reportFigure {
	pick := func(f func(*engine.ReportDay) *float64) []*float64 {
		out := make([]*float64, len(r.Days))
		for i := range r.Days {
			out[i] = f(&r.Days[i])
		}
		return out
	}
	positive := func(n int64) *float64 {
		if n <= 0 {
			return nil
		}
		v := float64(n)
		return &v
	}
	bytes := func(v float64) string { return size(int64(v)) }
	stored := pick(func(d *engine.ReportDay) *float64 { return positive(d.StoredBytes) })
	total := pick(func(d *engine.ReportDay) *float64 { return positive(d.RepositoryBytes) })
	sizes := []float64{1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12}
	times := []float64{0.01, 0.1, 1, 10, 60, 600, 3600, 6 * 3600, secondsADay, 7 * secondsADay, 70 * secondsADay}
	charts := []reportFigure{
		{"New bytes a day", "What each day's backups added to the repository.", barChart(series{"stored", "New bytes a day", "new bytes", stored, bytes}, r.Days)},
		{"Size of the repository", fmt.Sprintf("After each day's backup; the dashed line is the limit of %s. Logarithmic.", size(r.LimitBytes)),
			logChart(series{"size", "Size of the repository", "size", total, bytes}, r.Days, sizes, float64(r.LimitBytes))},
	}
	for _, t := range []struct {
		id, title, what string
		limit           float64
		of              func(*engine.ReportDay) *float64
	}{
		{"backup", "How long backups take", "", backupLimit, func(d *engine.ReportDay) *float64 { return d.BackupSeconds }},
		{"upload", "How long uploads take", "Until OneDrive was seen to report it uploaded. ", uploadLimit, func(d *engine.ReportDay) *float64 { return d.UploadSeconds }},
		{"restore", "How long restores take", "As full drills measured it. ", restoreLimit, func(d *engine.ReportDay) *float64 { return d.RestoreSeconds }},
	} {
		charts = append(charts, reportFigure{t.title, fmt.Sprintf("%sThe dashed line is the limit of %s. Logarithmic.", t.what, shortTook(t.limit)),
			logChart(series{t.id, t.title, "duration", pick(t.of), shortTook}, r.Days, times, t.limit)})
	}
	for i := range charts {
		charts[i].describe()
	}
	return charts
}

// describe says in words what a chart shows.
func (f *reportFigure) describe() {
	c := f.Chart
	if c == nil {
		f.Note = "Nothing was measured yet."
		return
	}
	last := c.Rows[len(c.Rows)-1]
	c.Description = fmt.Sprintf("%s %s, from %s to %s. The last is %s.", f.Note, count(len(c.Rows), "day has a value", "days have a value"), c.Rows[0].Day, last.Day, last.Value)
}

func coverageText(c *engine.ReportCoverage) string {
	if c.BackupID == "" {
		return "There is no complete backup yet."
	}
	text := fmt.Sprintf("Of %s under the root, %s holds %s (%s)", count(c.Total, "file", "files"), clean(c.BackupID), count(c.Captured.Files, "file", "files"), size(c.Captured.Bytes))
	if c.Secret > 0 {
		text += fmt.Sprintf("; of %s, %d are in the vault", count(c.Secret, "file with secrets", "files with secrets"), c.InVault)
	}
	return text + "."
}

// notInBackup lists what the backup does not hold: first what should be in it, then what rules leave out, the largest first.
func notInBackup(c *engine.ReportCoverage) [][]string {
	var out [][]string
	for _, l := range c.LeftOut {
		out = append(out, []string{clean(l.Path), "1 file", "", "left out: " + clean(l.Reason)})
	}
	const noVault = "there was no vault: set a password with `maia-dr password set`"
	if n := c.Secret - c.InVault - c.Redacted; n > 0 {
		out = append(out, []string{"files with secrets", count(n, "file", "files"), "", noVault})
	}
	if n := c.Redacted; n > 0 {
		out = append(out, []string{"secrets of files that are in it without them", count(n, "file", "files"), "", noVault})
	}
	for _, x := range c.Excluded {
		out = append(out, []string{clean(x.Rule), count(x.Files, "file", "files"), size(x.Bytes), "excluded by this rule"})
	}
	return out
}
