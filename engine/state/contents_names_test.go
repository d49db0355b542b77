package state

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestContentsKnowsEveryPath: whatever any part of the program calls by name in the state directory is the program's own,
// or else uninstalling would leave it.
func TestContentsKnowsEveryPath(t *testing.T) {
	d := Dir{Path: filepath.Join(t.TempDir(), "state")}
	if err := d.Create(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for method, v := range reflect.ValueOf(d).Methods() {
		if path, ok := reflect.TypeAssert[func() string](v); ok {
			rel, err := filepath.Rel(d.Path, path())
			if err != nil || strings.HasPrefix(rel, "..") {
				t.Errorf("%s: %q, %v", method.Name, rel, err)
			}
			names = append(names, rel)
		}
	}
	for _, folder := range []string{".", "..", "../cli", "../../tray", "../../tray/notify"} {
		names = append(names, namesIn(t, folder)...)
	}
	for _, name := range names {
		if top, _, _ := strings.Cut(name, "/"); top == "mirror" || top == "terminal" || top == "scratch" || top == "staging" || name == "log" {
			continue // folders, which have a test of their own
		}
		if err := os.WriteFile(filepath.Join(d.Path, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	owned, foreign, err := d.Contents()
	if err != nil || len(foreign) > 0 {
		t.Errorf("%q are the program's, and it does not know them; %v", foreign, err)
	}
	for _, name := range []string{reportName, "sync.json", "probe.json", "schedule.json", "choices.json", "incidents.json", "tray.lock", "log/maia-dr.log", "log/menu-job.log"} {
		if !slices.Contains(owned, name) {
			t.Errorf("%s is not among %q: the search for names is blind", name, owned)
		}
	}
}

// stateDir is how the program's parts call the state directory's path.
var stateDir = regexp.MustCompile(`^(d\.Path|k\.Dir|stateDir)$|(\bstate|State\(\))\.Path$|\bStateDir$`)

// namesIn returns the paths below the state directory that a package's files join to it, as far as they are constant.
func namesIn(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	consts := map[string]string{}
	var calls []*ast.CallExpr
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, e.Name()), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if group, ok := decl.(*ast.GenDecl); ok && group.Tok == token.CONST {
				addStrings(consts, group)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if ok && types.ExprString(call.Fun) == "filepath.Join" && stateDir.MatchString(types.ExprString(call.Args[0])) {
				calls = append(calls, call)
			}
			return true
		})
	}
	for _, call := range calls {
		var parts []string
		for _, arg := range call.Args[1:] {
			text := consts[types.ExprString(arg)]
			if lit, ok := arg.(*ast.BasicLit); ok {
				text, _ = strconv.Unquote(lit.Value)
			}
			if text == "" {
				break // a variable
			}
			parts = append(parts, text)
		}
		if len(parts) > 0 {
			names = append(names, filepath.Join(parts...))
		}
	}
	return names
}

// addStrings adds the texts that a group of constants names.
func addStrings(consts map[string]string, group *ast.GenDecl) {
	for _, spec := range group.Specs {
		spec := spec.(*ast.ValueSpec)
		for i, v := range spec.Values {
			if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				consts[spec.Names[i].Name], _ = strconv.Unquote(lit.Value)
			}
		}
	}
}
