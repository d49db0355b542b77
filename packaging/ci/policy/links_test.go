package policy

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// linked are the documents of this module.
var linked = []string{"README.md", "CHANGELOG.md", "docs/*.md", "engine/repository/FORMAT.md"}

func TestLinks(t *testing.T) {
	violations, err := CheckLinks(os.DirFS(root), linked...)
	if err != nil {
		t.Fatal(err)
	}
	report(t, violations)
}

func module(files map[string]string) fstest.MapFS {
	m := make(fstest.MapFS)
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func TestLinksBite(t *testing.T) {
	files := map[string]string{
		"README.md":          "# Top\n\n[a](docs/a.md) [b](docs/a.md#two-words) ![x](docs/images/x.png)\n",
		"docs/a.md":          "## Two *words*\n\n[up](../README.md#top), [code](../main.go), [folder](../docs)\n",
		"docs/images/x.png":  "\x00",
		"main.go":            "package main\n",
		"engine/unlinked.md": "not asked about\n",
	}
	check := func(t *testing.T, want ...string) {
		t.Helper()
		violations, err := CheckLinks(module(files), "README.md", "docs/*.md")
		if err != nil {
			t.Fatal(err)
		}
		if len(violations) != len(want) {
			t.Errorf("%d violations, want %d:\n%s", len(violations), len(want), strings.Join(violations, "\n"))
			return
		}
		for i, part := range want {
			if !strings.Contains(violations[i], part) {
				t.Errorf("violation %q does not say %q", violations[i], part)
			}
		}
	}
	check(t)
	good := files["docs/a.md"]
	for text, want := range map[string]string{
		"[x](b.md)": "docs/a.md:5: the link to \"b.md\": there is no such file", "[x](../../out.md)": "no such file", "![x](images/no.png)": "no such file",
		"[x](#gone)": "has no heading", "[x](../README.md#Top)": "has no heading", "[x](../main.go#L1)": "only a document", "[x](/README.md)": "relative",
		"[x]()": "no target", "[x][gone]": "no target", "[x](ftp://a.example)": "neither", "[x](https:///a)": "no host", "[x](http://%zz)": "invalid",
		"<https://nowhere>": "no host", `<a href="gone.md">x</a>`: "no such file", `<img src="images/x.png">`: "no words", "![](images/x.png)": "no words",
		"[x][r]\n\n[r]: gone.md": "no such file", "[![x](images/x.png)](gone.md)": "gone.md", "[a `]` b](gone.md)": "gone.md", "a `x` ``y ` z`` [x](gone.md)": "gone.md",
		"[the\n  gold](gone.md)": "docs/a.md:6", "`a\n[x](b)` [x](gone.md)": "docs/a.md:6", "| a ` |\n| [b](gone.md) ` |": "gone.md", "1. `\n2. [b](gone.md) `": "gone.md", "# `\n[b](gone.md) `": "gone.md", "[x][]\n\n[X]: gone.md": "gone.md", "[x]\n\n[x]: gone.md": "gone.md",
		"- item\n\n    [in a list](gone.md)": "docs/a.md:7", "[x](<gone away.md>)": "gone away.md",
	} {
		files["docs/a.md"] = good + "\n" + text + "\n"
		check(t, want)
	}
	// What is no link, or a good one.
	for _, text := range []string{
		"`[x](gone.md)`", "```sh\n[x](gone.md)\n```", "~~~~\n```\n[x](gone.md)\n~~~~", "text\n\n    [x](gone.md)\n", "<!-- [x](gone.md) -->", "<!--\n[x](gone.md)\n-->", "[x] and [y]", "[x\n\ny](gone.md)", "a `b\nc [x](gone.md) d` e",
		`\[x](gone.md)`, "[x](https://example.org/a_(b)#c \"title\")", "<me@example.org>", "[x](mailto:me@example.org)", "[r]\n\n[r]: ../main.go", `<a id="here"></a> [x](#here)`,
		"## Two words\n\n[x](#two-words-1)", "Under\n=====\n[x](#under)", "## `a.b` & C_d – é [l](../main.go)!\n[x](#ab--c_d--é-l)", "[x](%69mages/x.png)",
		`<picture><source srcset="images/x.png"><img alt="x" src="images/x.png"></picture>`,
	} {
		files["docs/a.md"] = good + "\n" + text + "\n"
		check(t)
	}
	files["docs/a.md"] = good
	files["docs/lonely.md"], files["docs/images/y.svg"] = "[a](a.md)\n", "<svg/>"
	check(t, "docs/lonely.md: no link leads here", "docs/images/y.svg: no document shows it")
	if _, err := CheckLinks(module(files), "README.md", "gone/*.md"); err == nil {
		t.Error("a pattern that finds nothing is accepted")
	}
}

func TestParseDocument(t *testing.T) {
	d := ParseDocument("A `b` c ``d ` e``\n\n<!-- mac -->\n```sh\none\n\n  two\n```\n\n<!-- by hand: `x`\nbecause -->\n\n    three\n\n    four\n\nfive\n    six\n\n1. a\n\n   <!-- note -->\n   ```text\n   seven\n   ```\n\n        eight\n")
	want := []Block{
		{Line: 5, Fenced: true, Language: "sh", Note: "mac", Lines: []string{"one", "", "  two"}},
		{Line: 13, Note: "by hand: `x` because", Lines: []string{"three", "", "four"}},
		{Line: 24, Fenced: true, Language: "text", Note: "note", Lines: []string{"seven"}},
	}
	if !reflect.DeepEqual(d.Blocks, want) {
		t.Errorf("%+v", d.Blocks)
	}
	if spans := []Span{{1, "b"}, {1, "d ` e"}, {10, "x"}}; !slices.Equal(d.Spans, spans) {
		t.Errorf("%+v", d.Spans)
	}
	if n := strings.Count("\n"+strings.Join(d.prose, "\n"), "\n"); n != 27 || len(d.prose) != 27 {
		t.Errorf("%d lines", len(d.prose))
	}
}
