package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
)

var updateGolden = flag.Bool("update", false, "write the golden files, the manual page and docs/commands.md")

// TestReport makes the pages of three histories and compares them with what happened; a browser looks at them.
// MAIA_TEST_PAGES names a folder for the pages, to look at them oneself.
func TestReport(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	for kind, check := range map[string]func(*testing.T, *engine.Report){
		historyFull: checkFullHistory, historyFirst: checkFirstDay, historyFailing: checkFailingWeek,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newReportWorld(t)
			r := w.history(kind)
			check(t, r)
			page := pageOf(t, r)
			if dir := os.Getenv("MAIA_TEST_PAGES"); dir != "" {
				shown := bytes.ReplaceAll(page, []byte(w.base), nil)
				if err := os.WriteFile(filepath.Join(dir, kind+".html"), shown, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			checkPage(t, page)
			b.check(t, page)
			if kind == historyFirst {
				b.checkFinds(t, page)
				goldenReport(t, r, w.base)
			}
		})
	}
}

func pageOf(t *testing.T, r *engine.Report) []byte {
	t.Helper()
	var page bytes.Buffer
	if err := writeReport(&page, r); err != nil {
		t.Fatal(err)
	}
	return page.Bytes()
}

// verdicts are the classes of the three answers.
func verdicts(r *engine.Report) string {
	var out []string
	for _, a := range reportAnswers(r) {
		out = append(out, a.Class)
	}
	return strings.Join(out, " ")
}

// kinds are the days, a letter for what became of each.
func kinds(r *engine.Report) string {
	var out strings.Builder
	for _, d := range r.Days {
		out.WriteByte(map[string]byte{engine.DayComplete: 'c', engine.DayWarnings: 'w', engine.DayFailed: 'f', engine.DayMissed: 'm', engine.DayOpen: 'o'}[d.Backup])
	}
	return out.String()
}

func checkFullHistory(t *testing.T, r *engine.Report) {
	t.Helper()
	want := []byte(strings.Repeat("c", 62))
	want[23], want[40], want[31] = 'm', 'm', 'f'
	if got := kinds(r); got != string(want[2:]) {
		t.Errorf("the days are %s, and were %s", got, want[2:])
	}
	if r.Success != (engine.ReportSuccess{Due: 30, Complete: 29}) {
		t.Errorf("success: %+v", r.Success)
	}
	if got := verdicts(r); got != "good good good" {
		t.Errorf("the answers are %s", got)
	}
	last := r.Days[len(r.Days)-1]
	if last.RepositoryBytes != r.Status.TotalBytes || last.Upload != onedrive.ClientUploaded.String() || last.BackupSeconds == nil || last.UploadSeconds == nil {
		t.Errorf("today: %+v", last)
	}
	drills := 0
	for i := range r.Days {
		d := &r.Days[i]
		date, err := time.Parse(time.DateOnly, d.Date)
		if err != nil || d.Proven != (date.Weekday() == time.Sunday) || d.Proven != (d.RestoreSeconds != nil) {
			t.Errorf("%+v: %v", d, err)
		}
		if d.Proven {
			drills++
		}
	}
	if s := r.Status.Restore; s.DrillsRun != drills || s.DrillsPassed != drills || drills < 8 {
		t.Errorf("%d drills: %+v", drills, s)
	}
	var held int64
	for _, b := range r.Retained {
		held += b.SourceBytes
		if len(b.Reasons) == 0 {
			t.Errorf("%s is kept for no reason", b.BackupID)
		}
	}
	if held != r.RetainedSourceBytes || held <= r.Status.TotalBytes {
		t.Errorf("%d bytes are held, the report says %d, in %d", held, r.RetainedSourceBytes, r.Status.TotalBytes)
	}
	sizes := make([]int64, len(r.Coverage.Excluded))
	for i, x := range r.Coverage.Excluded {
		sizes[i] = -x.Bytes
	}
	if len(sizes) != 3 || !slices.IsSorted(sizes) || r.Coverage.Excluded[0].Rule != "__pycache__/" {
		t.Errorf("not in the backup: %+v", r.Coverage.Excluded)
	}
}

func checkFirstDay(t *testing.T, r *engine.Report) {
	t.Helper()
	if kinds(r) != "c" || r.Success != (engine.ReportSuccess{Due: 1, Complete: 1}) || len(r.Retained) != 1 {
		t.Errorf("days %s, %+v, %d backups", kinds(r), r.Success, len(r.Retained))
	}
	// The upload is late by then.
	if got := verdicts(r); got != "good warn unknown" {
		t.Errorf("the answers are %s", got)
	}
}

func checkFailingWeek(t *testing.T, r *engine.Report) {
	t.Helper()
	if got := kinds(r); got != strings.Repeat("c", 17)+"ffffff"+"o" && got != strings.Repeat("c", 17)+"ffffff"+"m" {
		t.Errorf("the days are %s", got)
	}
	if r.Success != (engine.ReportSuccess{Due: 23, Complete: 17}) {
		t.Errorf("success: %+v", r.Success)
	}
	if got := verdicts(r); got != "bad warn bad" {
		t.Errorf("the answers are %s", got)
	}
	if d := r.Days[17]; d.Drill != "failed" || d.Proven || d.RestoreSeconds != nil || !strings.Contains(d.Error, "no space left") {
		t.Errorf("the day of the failed drill: %+v", d)
	}
	if len(r.Findings) == 0 || r.Findings[0].State != engine.CheckFailed || r.Findings[0].Remedy == "" {
		t.Errorf("findings: %+v", r.Findings)
	}
}

// goldenReport compares the JSON's keys and words with the golden file; numbers are those of this run.
func goldenReport(t *testing.T, r *engine.Report, base string) {
	t.Helper()
	shown := *r
	shown.Findings = slices.DeleteFunc(slices.Clone(r.Findings), func(c engine.Check) bool {
		return c.Name != engine.CheckDrill && c.Name != engine.CheckUpload // the others look at this machine
	})
	b, err := json.MarshalIndent(&shown, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.ReplaceAll(b, []byte(base), []byte("/base"))
	b = regexp.MustCompile(`(": )-?[0-9][0-9.e+-]*`).ReplaceAll(b, []byte("${1}0"))
	// How long a run took depends on its phases.
	b = regexp.MustCompile(`T[0-9:.]+Z"`).ReplaceAll(b, []byte(`T00:00:00Z"`))
	b = append(b, '\n')
	golden := filepath.Join("testdata", "report-first.golden.json")
	if *updateGolden {
		if err := os.WriteFile(golden, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(b, want) {
		t.Errorf("the JSON is not that of %s (%v):\n%s", golden, err, b)
	}
}

// TestReportOfNothing: a page where there is nothing to tell, and one full of names that are code.
func TestReportOfNothing(t *testing.T) {
	t.Parallel()
	r := &engine.Report{Status: &engine.Status{}, LimitBytes: 5e9}
	page := pageOf(t, r)
	checkPage(t, page)
	if got := verdicts(r); got != "bad unknown unknown" {
		t.Errorf("the answers are %s", got)
	}
	evil := `"><script>alert(1)</script><img src=http://example.org/x onerror=alert(1)>` + "\x1b[31m"
	r.Host, r.Problem, r.Program = evil, evil, evil
	r.Findings = []engine.Check{{Name: engine.CheckDrill, State: engine.CheckFailed, Text: evil + "`" + evil, Remedy: evil}}
	r.Components = []engine.ReportComponent{{Name: evil}}
	r.Coverage = engine.ReportCoverage{BackupID: evil, LeftOut: []repository.LeftOut{{Path: repository.Name(evil), Reason: evil}}, Excluded: []engine.ReportExcluded{{Rule: evil}}}
	r.Retained = []engine.ReportBackup{{BackupInfo: engine.BackupInfo{BackupID: evil, State: evil}, Reasons: []string{evil}}}
	r.Days = []engine.ReportDay{{Date: evil, Backup: evil, StoredBytes: 7}, {Date: "2025-10-13", Backup: engine.DayFailed, Error: evil}}
	r.Status.LastFailure = nil
	page = pageOf(t, r)
	checkPage(t, page)
	if bytes.Contains(page, []byte("\x1b")) {
		t.Error("a control character is in the page")
	}
}

// attribute returns an attribute's value.
func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// checkPage reads the page as a browser does, and looks for what would need the network or a script, for pictures that a
// screen reader cannot read, and for what is drawn outside of its picture.
func checkPage(t *testing.T, page []byte) {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(page, []byte(engine.ReportMark)) {
		t.Error("the page does not begin with its mark")
	}
	ids, pictures, level := map[string]bool{}, 0, 0
	var labels []string
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script", "link", "iframe", "object", "embed", "base", "form", "img", "audio", "video":
			t.Errorf("the page has a %s", n.Data)
		case "style":
			if css := n.FirstChild.Data; strings.Contains(css, "url(") || strings.Contains(css, "@import") {
				t.Error("the style names something outside")
			}
		case "svg":
			pictures++
			checkPicture(t, n)
		case "th":
			if attribute(n, "scope") == "" {
				t.Error("a heading of a table has no scope")
			}
		case "h1", "h2", "h3":
			now := int(n.Data[1] - '0')
			if now > level+1 {
				t.Errorf("a %s follows a heading of level %d", n.Data, level)
			}
			level = now
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "src", a.Key == "href", a.Key == "srcset", a.Key == "action", a.Key == "style", strings.HasPrefix(a.Key, "on"), strings.Contains(a.Val, "://") && n.Data != "td":
				t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
			case a.Key == "id" && ids[a.Val]:
				t.Errorf("the id %q stands twice", a.Val)
			case a.Key == "id":
				ids[a.Val] = true
			case a.Key == "aria-labelledby":
				labels = append(labels, strings.Fields(a.Val)...)
			}
		}
	}
	for _, l := range labels {
		if !ids[l] {
			t.Errorf("nothing has the id %q, which labels something", l)
		}
	}
	if pictures == 0 || len(labels) < 5 {
		t.Errorf("%d pictures, %d labels", pictures, len(labels))
	}
}

// checkPicture: it has a role, a title, and everything is inside.
func checkPicture(t *testing.T, svg *html.Node) {
	t.Helper()
	title := false
	for c := range svg.ChildNodes() {
		title = title || c.Data == "title" && c.FirstChild != nil && strings.TrimSpace(c.FirstChild.Data) != ""
	}
	if !title || attribute(svg, "role") != "img" || attribute(svg, "aria-labelledby") == "" {
		t.Errorf("a picture without a name: %v", svg.Attr)
	}
	box := strings.Fields(attribute(svg, "viewbox") + attribute(svg, "viewBox"))
	if len(box) != 4 {
		t.Fatalf("a picture without measures: %v", svg.Attr)
	}
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Errorf("%q is no number", s)
		}
		return v
	}
	width, height := number(box[2]), number(box[3])
	for n := range svg.Descendants() {
		for _, a := range n.Attr {
			limit := 0.0
			switch a.Key {
			case "x", "x1", "x2", "cx":
				limit = width
			case "y", "y1", "y2", "cy":
				limit = height
			default:
				continue
			}
			if v := number(a.Val); v < 0 || v > limit {
				t.Errorf("%s has %s=%s, outside of 0 to %g", n.Data, a.Key, a.Val, limit)
			}
		}
		if n.Data == "rect" && attribute(n, "class") == "bar" {
			if end := number(attribute(n, "y")) + number(attribute(n, "height")); end > chartHeight-chartBottom+0.2 {
				t.Errorf("a bar ends at %g, below the axis", end)
			}
		}
	}
}
