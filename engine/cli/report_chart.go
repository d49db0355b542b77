package cli

import (
	"fmt"
	"math"
	"time"

	"maia-dr/engine"
)

// The measures of a chart, in its own units: about pixels at the width of a phone.
const (
	chartWidth, chartHeight         = 400, 176
	chartLeft, chartRight           = 52, 8
	chartTop, chartBottom           = 16, 24
	plotWidth, plotHeight           = chartWidth - chartLeft - chartRight, chartHeight - chartTop - chartBottom
	secondsADay                     = 86400
	clipRatio               float64 = 4 // a bar this many times as high as the second highest is cut off
)

// chart is a plot of one value a day, as the template draws it. Colours come from the page, so that it has them in the
// light, in the dark and on paper; what it says is in its description and in a table too.
type chart struct {
	ID, Title, Description string
	Width, Height          int
	Left, Right, Bottom    int
	Grid, Limits           []gridLine
	Bars                   []chartBar
	Dots                   []chartDot
	// Line joins the dots: points of a polyline.
	Line   string
	Labels []chartLabel
	// Unit heads the values of the table, Rows are its days.
	Unit string
	Rows []chartRow
}

type gridLine struct {
	Y    float64
	Text string
}

type chartBar struct {
	X, Y, Width, Height float64
	Title, Cut          string
}

type chartDot struct {
	X, Y  float64
	Title string
	Over  bool
}

type chartLabel struct {
	X      float64
	Text   string
	Anchor string
}

type chartRow struct{ Day, Value string }

// series is what a chart shows: a value for each day, nil where there is none.
type series struct {
	id, title, unit string
	values          []*float64
	text            func(float64) string
}

// newChart makes a chart without its axis; nil if there is no value at all.
func newChart(s series, days []engine.ReportDay) *chart {
	c := &chart{ID: s.id, Title: s.title, Width: chartWidth, Height: chartHeight, Left: chartLeft, Right: chartWidth - chartRight,
		Bottom: chartHeight - chartBottom, Unit: s.unit}
	for i, v := range s.values {
		if v != nil {
			c.Rows = append(c.Rows, chartRow{dayText(days[i].Date), s.text(*v)})
		}
	}
	if len(c.Rows) == 0 {
		return nil
	}
	n := len(days)
	for _, i := range []int{0, n / 2, n - 1} {
		l := chartLabel{X: dayX(i, n), Text: shortDay(days[i].Date), Anchor: "middle"}
		switch {
		case n == 1 && i == 0, n > 1 && i > 0 && i < n-1:
		case i == 0:
			l.Anchor, l.X = "start", chartLeft
		case i == n-1:
			l.Anchor, l.X = "end", chartWidth-chartRight
		}
		if n < 5 && i > 0 && i < n-1 || len(c.Labels) > 0 && c.Labels[len(c.Labels)-1].Text == l.Text {
			continue
		}
		c.Labels = append(c.Labels, l)
	}
	return c
}

// dayX is the middle of the i-th of n days. Few days stand as close as they would among many.
func dayX(i, n int) float64 {
	step := float64(plotWidth) / float64(max(n, 7))
	return round(chartLeft + step*(float64(i)+0.5))
}

func round(x float64) float64 { return math.Round(x*10) / 10 }

// barChart shows values from zero on. One that towers over all others, the first backup's, is cut off and says so.
func barChart(s series, days []engine.ReportDay) *chart {
	c := newChart(s, days)
	if c == nil {
		return nil
	}
	var highest, second float64
	for _, v := range s.values {
		if v == nil {
			continue
		}
		if *v > highest {
			highest, second = *v, highest
		} else {
			second = max(second, *v)
		}
	}
	top := highest
	if second > 0 && highest > clipRatio*second {
		top = second * 1.3
	}
	step := niceStep(top / 3)
	for v := 0.0; v <= top*1.001; v += step {
		c.Grid = append(c.Grid, gridLine{linearY(v, top), s.text(v)})
	}
	width := round(min(24, float64(plotWidth)/float64(max(len(days), 7))*0.72))
	for i, v := range s.values {
		if v == nil {
			continue
		}
		b := chartBar{X: round(dayX(i, len(days)) - width/2), Width: width, Title: dayText(days[i].Date) + ": " + s.text(*v)}
		if *v > top {
			b.Cut = s.text(*v) + " on " + shortDay(days[i].Date)
		}
		b.Y = linearY(min(*v, top), top)
		b.Height = round(float64(c.Bottom) - b.Y)
		c.Bars = append(c.Bars, b)
	}
	return c
}

// linearY is the height of a value on a scale from zero to top.
func linearY(v, top float64) float64 {
	if top <= 0 {
		return chartHeight - chartBottom
	}
	return round(chartTop + (1-v/top)*plotHeight)
}

// niceStep is the smallest of 1, 2 and 5 times a power of ten that is not below x.
func niceStep(x float64) float64 {
	if x <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, f := range []float64{1, 2, 5} {
		if f*power >= x*0.999 {
			return f * power
		}
	}
	return 10 * power
}

// logChart shows values on a logarithmic scale, so that the limit and what lies far below it can both be read. ticks are
// ascending; the scale ends at the first tick that is beyond all values and limits.
func logChart(s series, days []engine.ReportDay, ticks []float64, limit float64) *chart {
	c := newChart(s, days)
	if c == nil {
		return nil
	}
	low, high := limit, limit
	for _, v := range s.values {
		if v != nil {
			low, high = min(low, *v), max(high, *v)
		}
	}
	first, last := 0, len(ticks)-1
	for first < last-1 && ticks[first+1] <= low {
		first++
	}
	for last > first+1 && ticks[last-1] > high {
		last--
	}
	bottom, top := ticks[first], ticks[last]
	y := func(v float64) float64 {
		v = min(max(v, bottom), top)
		return round(chartTop + math.Log(top/v)/math.Log(top/bottom)*plotHeight)
	}
	for _, t := range ticks[first : last+1] {
		c.Grid = append(c.Grid, gridLine{y(t), s.text(t)})
	}
	c.Limits = []gridLine{{y(limit), s.text(limit)}}
	for i, v := range s.values {
		if v == nil {
			continue
		}
		d := chartDot{X: dayX(i, len(days)), Y: y(*v), Title: dayText(days[i].Date) + ": " + s.text(*v), Over: *v > limit}
		c.Line += fmt.Sprintf("%g,%g ", d.X, d.Y)
		c.Dots = append(c.Dots, d)
	}
	return c
}

// dayText writes a report's day for people, shortDay without the weekday.
func dayText(date string) string  { return formatDay(date, "Mon 2 Jan 2006") }
func shortDay(date string) string { return formatDay(date, "2 Jan") }

func formatDay(date, layout string) string {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return clean(date)
	}
	return t.Format(layout)
}

// shortTook writes a duration in the largest unit that suits it.
func shortTook(s float64) string {
	switch {
	case s < 1:
		return fmt.Sprintf("%.2g s", s)
	case s < 60:
		return fmt.Sprintf("%.3g s", s)
	case s < 3600:
		return fmt.Sprintf("%.3g min", s/60)
	case s < 2*secondsADay:
		return fmt.Sprintf("%.3g h", s/3600)
	}
	return fmt.Sprintf("%.3g days", s/secondsADay)
}
