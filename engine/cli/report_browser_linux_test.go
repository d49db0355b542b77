//go:build !race

package cli

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// The race detector would look at the library that talks to the browser, and at nothing of ours.

//go:embed testdata/probe.js
var probe string

// browsers are commands that the test runs, the first that is there.
var browsers = []string{"chromium-headless-shell", "chromium", "google-chrome"}

// browser is Chromium without a screen.
type browser struct{ ctx context.Context }

// startBrowser starts one for a test and all its subtests.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	var program string
	for _, name := range browsers {
		if path, err := exec.LookPath(name); err == nil && program == "" {
			program = path
		}
	}
	if program == "" {
		t.Fatalf("this test needs one of %q: make tools", browsers)
	}
	home, err := os.MkdirTemp("", "maia-browser")
	if err != nil {
		t.Fatal(err)
	}
	// Its children may write a little longer than it runs.
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	ctx, stop := chromedp.NewExecAllocator(context.Background(), chromedp.ExecPath(program), chromedp.Headless, chromedp.DisableGPU,
		// It shows nothing but the test's own pages: what root, and a container, cannot have is not needed.
		chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home), chromedp.WSURLReadTimeout(time.Minute))
	t.Cleanup(stop)
	ctx, quit := chromedp.NewContext(ctx)
	t.Cleanup(quit)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	return &browser{ctx}
}

// view is one way to look at a page.
type view struct {
	width, height int64
	scheme        string
	print         bool
}

// views are a telephone, a tablet and a desk, by day and by night, and a sheet of A4.
func views() (all []view) {
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{390, 768, 1280} {
			all = append(all, view{width: width, height: 900, scheme: scheme})
		}
	}
	return append(all, view{width: 718, height: 1047, scheme: "dark", print: true})
}

func (v view) String() string {
	if v.print {
		return "printed"
	}
	return fmt.Sprintf("%d px, %s", v.width, v.scheme)
}

// check opens a page and complains of what is wrong with it.
func (b *browser) check(t *testing.T, html []byte) {
	t.Helper()
	for _, f := range b.faults(t, html) {
		t.Error(f)
	}
}

// faults opens a page with scripts off, looks at it from everywhere, hears it as a screen reader would, and prints it.
func (b *browser) faults(t *testing.T, html []byte) (found []string) {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(b.ctx)
	defer closeTab()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, html, 0o600); err != nil {
		t.Fatal(err)
	}
	address := (&url.URL{Scheme: "file", Path: path}).String()
	overheard := overhear(t, ctx, address)
	call(t, ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	for _, v := range views() {
		found = append(found, look(t, ctx, v)...)
	}
	call(t, ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
	found = append(found, heard(call(t, ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes)...)
	pdf, err := chromedp.Run(ctx, chromedp.PrintToPDF(chromedp.PDFPaper(chromedp.PaperA4)))
	if err != nil {
		t.Fatal(err)
	}
	if pages := len(pdfPage.FindAll(pdf, -1)); !bytes.HasPrefix(pdf, []byte("%PDF-")) || pages < 1 || pages > 12 {
		found = append(found, fmt.Sprintf("%d bytes are printed, on %d pages", len(pdf), pages))
	}
	return append(found, overheard()...)
}

var pdfPage = regexp.MustCompile(`/Type\s*/Page\b[^s]`)

// overhear listens to what the browser complains of and asks for. What it returns gives that, but for the page itself.
func overhear(t *testing.T, ctx context.Context, address string) func() []string {
	t.Helper()
	var mu sync.Mutex
	var found []string
	err := chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			found = append(found, "the browser complains: "+e.Entry.Text)
		case *runtime.EventConsoleAPICalled:
			found = append(found, "a script writes to the console")
		case *runtime.EventExceptionThrown:
			found = append(found, "a script fails: "+e.ExceptionDetails.Text)
		case *network.EventRequestWillBeSent:
			if e.Request.URL != address {
				found = append(found, "it asks for "+e.Request.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	call(t, ctx, log.Enable, cdp.Empty{})
	call(t, ctx, network.Enable, network.EnableParams{})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return found
	}
}

// look has the probe look at the page that is open.
func look(t *testing.T, ctx context.Context, v view) (found []string) {
	t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.scheme}}}
	if v.print {
		media.Media = "print"
	}
	call(t, ctx, emulation.SetEmulatedMedia, media)
	call(t, ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: v.width, Height: v.height, DeviceScaleFactor: 1})
	answer, err := chromedp.Run(ctx, chromedp.Evaluate[string](probe))
	if err != nil {
		t.Fatal(err)
	}
	var seen struct {
		Texts, Pictures int
		Faults          []string
	}
	if err := json.Unmarshal([]byte(answer), &seen); err != nil {
		t.Fatal(err)
	}
	if seen.Texts < 50 || seen.Pictures == 0 {
		found = append(found, fmt.Sprintf("%s: only %d texts and %d pictures are seen", v, seen.Texts, seen.Pictures))
	}
	for _, f := range seen.Faults {
		found = append(found, fmt.Sprintf("%s: %s", v, f))
	}
	return found
}

// call gives the browser a command.
func call[P, R any](t *testing.T, ctx context.Context, command cdp.Command[P, R], params P) R {
	t.Helper()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// heard looks at what the browser hands to a screen reader.
func heard(tree []*accessibility.Node) (found []string) {
	text := func(v *accessibility.Value) (s string) {
		if v != nil {
			_ = json.Unmarshal(v.Value, &s) // what is no text is none
		}
		return strings.TrimSpace(s)
	}
	level, pictures, tables := 0, 0, 0
	for _, n := range tree {
		role := text(n.Role)
		switch {
		case n.Ignored:
			continue
		case slices.Contains([]string{"image", "RootWebArea", "heading", "columnheader", "rowheader"}, role) && text(n.Name) == "":
			found = append(found, fmt.Sprintf("a screen reader knows no name of a %s", role))
		}
		switch role {
		case "image":
			pictures++
		case "heading":
			now := 0
			for _, p := range n.Properties {
				if p.Name == accessibility.PropertyNameLevel {
					_ = json.Unmarshal(p.Value.Value, &now) // one that is no number is none
				}
			}
			if now == 0 || now > level+1 || (now == 1) != (level == 0) {
				found = append(found, fmt.Sprintf("the heading %q is of level %d, after one of level %d", text(n.Name), now, level))
			}
			level = now
		case "table":
			tables++
		}
	}
	if pictures < 2 || tables == 0 {
		found = append(found, fmt.Sprintf("a screen reader knows of %d pictures and %d tables", pictures, tables))
	}
	return found
}

// checkFinds spoils a page, and wants every kind of fault to be found.
func (b *browser) checkFinds(t *testing.T, html []byte) {
	t.Helper()
	page := string(html)
	for _, spoil := range []struct{ was, is string }{
		{"--dim: #565e69", "--dim: #9aa2ad"},
		{"--plotfill: #5b8cd6 }\n", "--plotfill: #e4e8ee }\n"},
		{"svg text { fill: var(--dim); font-size: 12px }", "svg text { fill: var(--dim); font-size: 9px }"},
		{"<desc id=", "<g id="}, {"</desc>", "</g>"},
		{"<h2 id=\"days\">Day by day</h2>", "<h4 id=\"days\">Day by day</h4>"},
		{"<details><summary>As a table</summary>", "<details><summary>As a table</summary><!--"}, {"</details>", "--></details>"},
		{"</main>", `<p style="width: 90rem">far out</p><p style="margin-bottom: -1.5rem">below</p><p>above</p>
			<div style="overflow: hidden; width: 2rem; white-space: nowrap">half of it</div><svg role="img" viewBox="0 0 9 9"></svg><img alt="" src="http://192.0.2.1/x.png"></main>`},
	} {
		if !strings.Contains(page, spoil.was) {
			t.Errorf("the page has no %q", spoil.was)
		}
		page = strings.ReplaceAll(page, spoil.was, spoil.is)
	}
	found := strings.Join(b.faults(t, []byte(page)), "\n")
	for _, want := range []string{
		"390 px, light: it is ", "1280 px, dark: it is ", "px high", "has a contrast of 2.", "a bar has a contrast of 1.", "a plot has no table", `"above" lie over one another`,
		`"half of it" is cut off by div`, "knows no name of a image", "of level 4, after one of level 2", "a plot has no description", "the browser complains: ",
	} {
		if !strings.Contains(found, want) {
			t.Errorf("it is not found that %q; only:\n%s", want, found)
		}
	}
}
