package main

import (
	"context"
	"fmt"
	"strings"
)

// curve is how the program alone does on one sample.
type curve struct {
	Sample string  `json:"sample"`
	Result *result `json:"result"`
	// Year: so many days under the default retention; EachDay has them all.
	Year int `json:"year,omitempty"`
}

// largeDatabase is the size of the larger one, in bytes.
const largeDatabase = 3_500_000_000

// moreCode is how many times the files of code the larger tree has.
const moreCode = 10

// curves measures how times and memory grow: with the files, with the database, with the days.
func (o options) curves(ctx context.Context, p *programs, r *report) error {
	size, database := "full", int64(0)
	larger := int64(largeDatabase)
	if o.quick {
		size, larger = "small", 10_000_000
	}
	s, err := makeSample(ctx, o.work, size, database)
	if err != nil {
		return err
	}
	if err := o.curve(ctx, p, r, s, "the "+size+" sample"); err != nil {
		return err
	}
	if err := s.more(ctx, moreCode); err != nil {
		return err
	}
	if err := o.curve(ctx, p, r, s, fmt.Sprintf("%d times the files", moreCode)); err != nil {
		return err
	}
	if err := renew(s.base); err != nil {
		return err
	}
	if s, err = makeSample(ctx, o.work, size, larger); err != nil {
		return err
	}
	if err := o.curve(ctx, p, r, s, "a database of "+figure(float64(larger)/1e9)+" GB"); err != nil {
		return err
	}
	return renew(s.base)
}

// curve runs the protocol with the program alone.
func (o options) curve(ctx context.Context, p *programs, r *report, s *sample, text string) error {
	part := &report{}
	b := o.bench(ctx, s, part)
	b.days = b.runs
	b.add(newMaia(b.place, "Plain", false, p.bin, p.ahead, p.version, keepAll))
	b.log("%s:", text)
	for _, step := range []func() error{b.start, b.first, b.unchanged, b.eachDay, b.restores, b.verifies} {
		if err := step(); err != nil {
			return err
		}
	}
	r.Curves = append(r.Curves, curve{Sample: text, Result: part.Results[0]})
	return renew(b.area(""))
}

// year makes backups of many days under the default retention.
func (o options) yearOf(ctx context.Context, p *programs, r *report) error {
	size := "full"
	if o.quick {
		size = "small"
	}
	s, err := makeSample(ctx, o.work, size, 0)
	if err != nil {
		return err
	}
	part := &report{}
	b := o.bench(ctx, s, part)
	b.days, b.pause = o.year, 0 // the clock runs ahead: there every file has rested
	b.add(newMaia(b.place, "Year", false, p.bin, p.ahead, p.version, ""))
	if err := b.eachDay(); err != nil {
		return err
	}
	r.Curves = append(r.Curves, curve{Sample: fmt.Sprintf("%d days of the %s sample", o.year, size), Result: part.Results[0], Year: o.year})
	return renew(s.base)
}

// curveTable is the curves as Markdown.
func curveTable(curves []curve) string {
	var grown, years strings.Builder
	for _, c := range curves {
		f := summarize(c.Result, false)
		if c.Result.Failed != "" {
			fmt.Fprintf(&grown, "| %s | failed: %s | | | | | | | |\n", c.Sample, oneLine(c.Result.Failed))
			continue
		}
		if c.Year > 0 {
			most, each := largest(c.Result.EachDay, added), c.Result.EachDay
			fmt.Fprintf(&years, "| %s | %s | %s | %s | %s | %.0f | %s | %s |\n", c.Sample, megabytes(f.repository), megabytes(largest(each, stored)), megabytes(f.added),
				megabytes(most), largest(each, func(r run) float64 { return float64(r.Chunks) }), figure(f.day), yearVerdict(c.Year, f.repository, most))
			continue
		}
		fmt.Fprintf(&grown, "| %s | %s | %s | %s | %s | %s | %s | %s | %.0f |\n", c.Sample, figure(f.first), megabytes(f.stored), figure(f.unchanged),
			figure(f.day), megabytes(f.added), figure(f.restore), figure(f.verify), f.rssMost/1e6)
	}
	var t strings.Builder
	if grown.Len() > 0 {
		t.WriteString("| the program on | first: s | stored MB | no change: s | a day: s | added MB | restore s | verify s | peak MB |\n|---|---|---|---|---|---|---|---|---|\n" + grown.String())
	}
	if years.Len() > 0 {
		if t.Len() > 0 {
			t.WriteString("\n")
		}
		t.WriteString("| under 7/4/12 | at the end MB | at most MB | a day MB | largest day MB | most new chunks a day | a day: s | under 2 GB, no day over 6 MB |\n" +
			"|---|---|---|---|---|---|---|---|\n" + years.String())
	}
	return t.String()
}

// goalDays is how many days the goals are about.
const goalDays = 360

// yearVerdict holds a year against its goals: under 2 GB at the end, and no day over 6 MB.
func yearVerdict(days int, repository, largestDay float64) string {
	switch {
	case days < goalDays || repository <= 0:
		return "not measured"
	case repository < 2e9 && largestDay <= 6e6:
		return "met"
	}
	return "missed"
}
