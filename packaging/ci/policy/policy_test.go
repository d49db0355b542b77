package policy

import (
	"os"
	"strings"
	"testing"
)

// root is the module that this package lies in.
const root = "../../.."

func readModule(t *testing.T) (Files, *Source) {
	t.Helper()
	files, err := Read(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	source, err := Parse(files)
	if err != nil {
		t.Fatal(err)
	}
	return files, source
}

func report(t *testing.T, violations []string) {
	t.Helper()
	for _, v := range violations {
		t.Error(v)
	}
}

func TestImports(t *testing.T) {
	for _, goos := range []string{"linux", "darwin"} {
		packages, err := List(root, goos)
		if err != nil {
			t.Fatal(err)
		}
		if len(packages) < 3 {
			t.Fatalf("%s: only %d packages listed", goos, len(packages))
		}
		violations, err := CheckImports(ImportRules, "maia-dr", packages)
		if err != nil {
			t.Fatal(err)
		}
		report(t, violations)
	}
}

func TestPackageComments(t *testing.T) {
	_, source := readModule(t)
	report(t, source.CheckPackageComments())
}

func TestCalls(t *testing.T) {
	_, source := readModule(t)
	report(t, source.CheckCalls(Calls))
}

func TestNoSkips(t *testing.T) {
	_, source := readModule(t)
	report(t, source.CheckSkips())
}

func TestLengths(t *testing.T) {
	_, source := readModule(t)
	violations, remarks := source.CheckLengths(WarnLines, MaxLines)
	report(t, violations)
	for _, r := range remarks {
		t.Log(r)
	}
}

func TestText(t *testing.T) {
	files, _ := readModule(t)
	report(t, CheckText(files, BuildPlaces))
}

func TestDependencies(t *testing.T) {
	files, _ := readModule(t)
	report(t, CheckDependencies(files["go.mod"], files["docs/dependencies.md"]))
}

// want compares violations with parts of them, in order.
func want(t *testing.T, violations []string, parts ...string) {
	t.Helper()
	if len(violations) != len(parts) {
		t.Errorf("%d violations, want %d:\n%s", len(violations), len(parts), strings.Join(violations, "\n"))
		return
	}
	for i, part := range parts {
		if !strings.Contains(violations[i], part) {
			t.Errorf("violation %q does not say %q", violations[i], part)
		}
	}
}

func parse(t *testing.T, files Files) *Source {
	t.Helper()
	source, err := Parse(files)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// Each of the project's import rules is broken by one package here.
func TestImportRulesBite(t *testing.T) {
	for _, tc := range []struct {
		importer string
		imports  string // direct ones
		deps     string // reached ones
		want     string // "" if allowed
	}{
		{"maia-dr/engine", "maia-dr/engine/cli", "", "reaches"},
		{"maia-dr/engine", "os", "maia-dr/tray/menu", "reaches"},
		{"maia-dr/engine/vault", "maia-dr/keychain", "", "reaches"},
		{"maia-dr/engine/cli", "maia-dr/launchd maia-dr/engine github.com/spf13/cobra golang.org/x/term", "", ""},
		{"maia-dr", "maia-dr/engine/cli maia-dr/tray os", "", ""},
		{"maia-dr/engine/onedrive", "C", "", "C"},
		{"maia-dr/keychain", "C", "", ""},
		{"maia-dr/engine/state", "maia-dr/engine", "", "verbs above"},
		{"maia-dr/engine/fsx", "maia-dr/engine/event", "", "bottom"},
		{"maia-dr/engine/fsx", "golang.org/x/sys/unix", "", ""},
		{"maia-dr/engine/retention", "github.com/dustin/go-humanize", "", "pure"},
		{"maia-dr/engine/retention", "fmt go/types encoding/json", "golang.org/x/sys/unix", ""},
		{"maia-dr/tray/menu", "fyne.io/systray", "", "pure"},
		{"maia-dr/engine/repository", "bytes", "maia-dr/engine/component", "format"},
		{"maia-dr/engine", "github.com/spf13/cobra", "", "flags"},
		{"maia-dr/tray", "golang.org/x/term", "", "terminal"},
		{"maia-dr/engine/component", "modernc.org/sqlite", "", "locks"},
		{"maia-dr/engine/sqlitesnap", "modernc.org/sqlite database/sql", "", ""},
		{"maia-dr/tray", "github.com/keybase/go-keychain", "", "Store"},
		{"maia-dr/engine/cli", "github.com/keybase/go-keychain/secretservice", "", "Store"},
		{"maia-dr/keychain", "github.com/keybase/go-keychain github.com/keybase/dbus", "", ""},
		{"maia-dr/engine/fixture", "testing", "", "test files"},
		{"maia-dr/engine/fixture", "testing/fstest", "", ""},
		{"maia-dr/engine", "maia-dr/packaging/ci/policy", "", "no part"},
	} {
		p := Package{ImportPath: tc.importer, Imports: strings.Fields(tc.imports), Deps: strings.Fields(tc.deps)}
		violations, err := CheckImports(ImportRules, "maia-dr", []Package{p})
		if err != nil {
			t.Fatal(err)
		}
		if (len(violations) > 0) != (tc.want != "") {
			t.Errorf("%+v: violations %q, want %q", p, violations, tc.want)
		}
		if tc.want != "" && !strings.Contains(strings.Join(violations, "\n"), tc.want) {
			t.Errorf("%+v: violations %q do not say %q", p, violations, tc.want)
		}
	}
}

func TestImportRulesText(t *testing.T) {
	for _, text := range []string{"a never imports b", "a never imports b : ", "a imports b : reason", "never imports b : reason"} {
		if _, err := CheckImports(text, "m", nil); err == nil {
			t.Errorf("rule %q is accepted", text)
		}
	}
}

func TestPackageCommentsBite(t *testing.T) {
	source := parse(t, Files{
		"main.go":             "// Command m does.\npackage main\n",
		"extra.go":            "package main\n",
		"good/good.go":        "// Package good is.\npackage good\n",
		"good/good_test.go":   "// Package good is tested.\npackage good\n",
		"good/more.go":        "//go:build linux\n\npackage good\n",
		"none/none.go":        "package none\n",
		"twice/a.go":          "// Package twice is.\npackage twice\n",
		"twice/b.go":          "// Package twice is.\npackage twice\n",
		"wrong/wrong.go":      "// Copyright.\npackage wrong\n",
		"a/testdata/x/x.go":   "package x\n",
		"onlytests/a_test.go": "package onlytests\n",
	})
	want(t, source.CheckPackageComments(), "extra.go", "none: 0", "twice: 2", "wrong/wrong.go")
}

func TestCallsBite(t *testing.T) {
	rules := []Call{
		{Functions: []string{"os.Exit", "time.Now", "os.OpenFile", "os/user.Current"}, Why: "why", Except: []Exception{
			{"main.go", "root"}, {"fsx/...", "writes"}, {"gone/...", "no such folder"}, {"idle/...", "needs none"},
		}},
	}
	source := parse(t, Files{
		"main.go":       "package main\nimport \"os\"\nfunc f() { os.Exit(1) }\n",
		"a.go":          "package a\nimport \"os\"\nfunc f() { os.Exit(1) }\n",
		"alias.go":      "package a\nimport x \"os\"\nvar f = x.Exit\n",
		"clock.go":      "package a\nimport (\n\"time\"\n\"os/user\"\n)\nvar now, u, _ = time.Now, user.Current, time.UTC\n",
		"local.go":      "package a\ntype o struct{}\nfunc (o) Exit() {}\nfunc f(os o) { os.Exit() }\n",
		"a_test.go":     "package a\nimport \"os\"\nfunc f() { os.Exit(1) }\n",
		"fsx/f.go":      "package fsx\nimport \"os\"\nfunc f() { os.OpenFile(\"\", os.O_CREATE, 0) }\n",
		"idle/i.go":     "package idle\n",
		"read.go":       "package a\nimport \"os\"\nfunc f() { os.OpenFile(\"\", os.O_RDONLY|8, 0) }\n",
		"write.go":      "package a\nimport \"os\"\nfunc f() { os.OpenFile(\"\", os.O_RDONLY|os.O_CREATE, 0) }\n",
		"unclear.go":    "package a\nimport \"os\"\nfunc f(flag int) { os.OpenFile(\"\", flag, 0) }\n",
		"value.go":      "package a\nimport \"os\"\nvar open = os.OpenFile\n",
		"comment.go":    "package a\n// os.Exit is not called.\nconst s = \"os.Exit(1)\"\n",
		"fsxother/x.go": "package fsxother\nimport \"os\"\nfunc f() { os.Exit(0) }\n",
	})
	want(t, source.CheckCalls(rules), "a.go:3: os.Exit", "alias.go:3: os.Exit", "clock.go:6: time.Now", "clock.go:6: os/user.Current",
		"fsxother/x.go:3: os.Exit", "unclear.go:3: os.OpenFile", "value.go:3: os.OpenFile", "write.go:3: os.OpenFile", `exception "idle/..."`)
}

// The project's own table forbids what it is meant to.
func TestProjectCallsBite(t *testing.T) {
	source := parse(t, Files{
		"engine/a.go": "package a\nimport (\n\"os\"\n\"time\"\n)\nfunc f() {\nos.Exit(1)\ntime.Now()\nos.Getenv(\"\")\nos.Rename(\"\", \"\")\nos.WriteFile(\"\", nil, 0)\n}\n",
	})
	want(t, source.CheckCalls(Calls), "a.go:7", "a.go:8", "a.go:9", "a.go:10", "a.go:11")
}

func TestSkipsBite(t *testing.T) {
	source := parse(t, Files{
		"a_test.go": "package a\nimport \"testing\"\nfunc TestA(t *testing.T) { t.Skip() }\nfunc help(tb testing.TB) { tb.Skipf(\"\") }\n" +
			"func FuzzA(f *testing.F) { f.Fuzz(func(x *testing.T, b []byte) { x.SkipNow() }) }\n" +
			"func read(d *decoder) { d.Skip() }\n",
	})
	want(t, source.CheckSkips(), "a_test.go:3: t.Skip", "a_test.go:4: tb.Skipf", "a_test.go:5: x.SkipNow")
}

func TestLengthsBite(t *testing.T) {
	source := parse(t, Files{
		"short.go":     "package a\n" + strings.Repeat("\n", 9),
		"long.go":      "package a\n" + strings.Repeat("\n", 19),
		"huge.go":      "package a\n" + strings.Repeat("\n", 20),
		"huge_test.go": "package a\n" + strings.Repeat("\n", 90),
	})
	violations, remarks := source.CheckLengths(10, 20)
	want(t, violations, "huge.go: 21 lines")
	want(t, remarks, "long.go: 20 lines")
}

func TestTextBites(t *testing.T) {
	place := "/wo" + "rk/"
	violations := CheckText(Files{
		"a.md":   "fine\n" + "see " + place + "main\n",
		"b.go":   `const a = "` + place + `x"`,
		"c.md":   "home" + place + "a and ~" + place + "b and $HOME" + place + " and /x" + place + "y\n",
		"d.yaml": place + "x",
	}, BuildPlaces)
	want(t, violations, "a.md:2", "b.go:1", "d.yaml:1")
}

func TestDependenciesBite(t *testing.T) {
	const gomod = `module m

go 1.26.0

require example.test/single v1.0.0

require (
	example.test/direct v1.0.0
	example.test/hidden v1.0.0 // indirect
	example.test/missing v1.0.0
	example.test/noted v1.0.0 // pinned
)
`
	const document = "text about `example.test/missing`\n\n| module | why |\n|---|---|\n| `example.test/direct` | x |\n| `example.test/gone` | x |\n| `example.test/hidden` | x |\n"
	want(t, CheckDependencies(gomod, document), "example.test/gone is not", "no line for example.test/missing", "no line for example.test/noted",
		"no line for example.test/single")
	want(t, CheckDependencies("module m\n", document), "no requirements")
}

// Reading the module finds the files that the rules are about.
func TestReadModule(t *testing.T) {
	files, source := readModule(t)
	for _, name := range []string{"go.mod", "docs/dependencies.md", ".ci/run", "Makefile", "engine/env.go"} {
		if files[name] == "" {
			t.Errorf("%s was not read", name)
		}
	}
	if len(source.files) < 20 {
		t.Errorf("only %d Go files were parsed", len(source.files))
	}
	for name := range files {
		if strings.HasPrefix(name, ".git/") {
			t.Fatalf("%s was read", name)
		}
	}
}
