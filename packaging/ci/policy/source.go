package policy

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Files are the contents of a module's text files by slash-separated path.
type Files map[string]string

// Read takes in all text files of a module but those of git and what is built.
func Read(fsys fs.FS) (Files, error) {
	files := make(Files)
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || name == "bin" || name == "dist") {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if !slices.Contains(data, 0) {
			files[name] = string(data)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	return files, nil
}

// Source is a module's Go files, parsed.
type Source struct {
	fset  *token.FileSet
	files map[string]*ast.File
	lines map[string]int
}

// Parse parses the Go files. Files below a testdata folder are not the
// module's.
func Parse(files Files) (*Source, error) {
	s := &Source{token.NewFileSet(), make(map[string]*ast.File), make(map[string]int)}
	for name, text := range files {
		if path.Ext(name) != ".go" || slices.Contains(strings.Split(name, "/"), "testdata") {
			continue
		}
		f, err := parser.ParseFile(s.fset, name, text, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse source: %w", err)
		}
		s.files[name] = f
		s.lines[name] = strings.Count(text, "\n")
	}
	return s, nil
}

// each visits the files in order of their names.
func (s *Source) each(visit func(name string, f *ast.File)) {
	names := make([]string, 0, len(s.files))
	for name := range s.files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		visit(name, s.files[name])
	}
}

func isTest(name string) bool { return strings.HasSuffix(name, "_test.go") }

// CheckPackageComments wants exactly one comment for each package, beginning
// with its name, and no Go file beside main.go and its test at the top.
func (s *Source) CheckPackageComments() (violations []string) {
	comments := make(map[string][]string) // by folder: the files with one
	s.each(func(name string, f *ast.File) {
		dir := path.Dir(name)
		if dir == "." && name != "main.go" && name != "main_test.go" {
			violations = append(violations, name+": only main.go and main_test.go lie at the top")
		}
		if isTest(name) {
			return
		}
		if f.Doc == nil {
			comments[dir] = slices.Clip(comments[dir]) // the folder has a package
			return
		}
		comments[dir] = append(comments[dir], name)
		want := "Package " + f.Name.Name + " "
		if f.Name.Name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(f.Doc.Text(), want) {
			violations = append(violations, fmt.Sprintf("%s: the package comment begins with %q", name, want))
		}
	})
	for dir, files := range comments {
		if len(files) != 1 {
			violations = append(violations, fmt.Sprintf("%s: %d package comments, want one %q", dir, len(files), files))
		}
	}
	slices.Sort(violations)
	return violations
}

// CheckCalls finds forbidden functions outside tests, also those that are only
// named, and exceptions that nothing needs any more.
func (s *Source) CheckCalls(calls []Call) (violations []string) {
	for _, c := range calls {
		used := make(map[Exception]bool)
		s.each(func(name string, f *ast.File) {
			if isTest(name) {
				return
			}
			for _, use := range s.uses(f) {
				if !slices.Contains(c.Functions, use.function) || use.readOnly {
					continue
				}
				i := slices.IndexFunc(c.Except, func(e Exception) bool { return matchFile(e.Files, name) })
				if i < 0 {
					violations = append(violations, fmt.Sprintf("%s:%d: %s: %s", name, use.line, use.function, c.Why))
					continue
				}
				used[c.Except[i]] = true
			}
		})
		for _, e := range c.Except {
			if !used[e] && s.has(e.Files) {
				violations = append(violations, fmt.Sprintf("exception %q for %s… is not needed", e.Files, c.Functions[0]))
			}
		}
	}
	return violations
}

func (s *Source) has(pattern string) bool {
	for name := range s.files {
		if matchFile(pattern, name) && !isTest(name) {
			return true
		}
	}
	return false
}

func matchFile(pattern, name string) bool {
	if dir, ok := strings.CutSuffix(pattern, "/..."); ok {
		return strings.HasPrefix(name, dir+"/")
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// use is a mention of a function of an imported package.
type use struct {
	function string // "os.Exit"
	line     int
	readOnly bool // an os.OpenFile that cannot write
}

func (s *Source) uses(f *ast.File) (uses []use) {
	imported := make(map[string]string) // local name to import path
	for _, spec := range f.Imports {
		importPath, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(importPath)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imported[name] = importPath
	}
	readOnly := make(map[*ast.SelectorExpr]bool)
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && len(n.Args) == 3 {
				readOnly[sel] = sel.Sel.Name == "OpenFile" && opensReadOnly(n.Args[1])
			}
		case *ast.SelectorExpr:
			id, ok := n.X.(*ast.Ident)
			if ok && imported[id.Name] != "" {
				uses = append(uses, use{imported[id.Name] + "." + n.Sel.Name, s.fset.Position(n.Pos()).Line, readOnly[n]})
			}
		}
		return true
	})
	return uses
}

// opensReadOnly says whether the flags of an os.OpenFile name O_RDONLY and
// nothing that writes. Flags that are not spelled out do not count.
func opensReadOnly(flags ast.Expr) bool {
	named, writes := false, false
	ast.Inspect(flags, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			named = named || id.Name == "O_RDONLY"
			writes = writes || slices.Contains([]string{"O_WRONLY", "O_RDWR", "O_CREATE", "O_CREAT", "O_TRUNC", "O_APPEND", "O_EXCL"}, id.Name)
		}
		return true
	})
	return named && !writes
}

// CheckSkips finds tests, benchmarks and fuzz targets that may skip: what is
// skipped is not tested.
func (s *Source) CheckSkips() (violations []string) {
	s.each(func(name string, f *ast.File) {
		testing := make(map[string]bool) // names of parameters and variables of a type of package testing
		ast.Inspect(f, func(n ast.Node) bool {
			if field, ok := n.(*ast.Field); ok && ofTesting(field.Type) {
				for _, id := range field.Names {
					testing[id.Name] = true
				}
			}
			return true
		})
		ast.Inspect(f, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				return true
			}
			if id, ok := sel.X.(*ast.Ident); ok && testing[id.Name] {
				violations = append(violations, fmt.Sprintf("%s:%d: %s.%s: a skipped test is a failure",
					name, s.fset.Position(sel.Pos()).Line, id.Name, sel.Sel.Name))
			}
			return true
		})
	})
	return violations
}

func ofTesting(t ast.Expr) bool {
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	sel, ok := t.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == "testing"
}

// CheckLengths finds files that are too long, and remarks on those that are
// long; tests may be longer.
func (s *Source) CheckLengths(warn, limit int) (violations, remarks []string) {
	s.each(func(name string, _ *ast.File) {
		switch n := s.lines[name]; {
		case isTest(name) || n <= warn:
		case n <= limit:
			remarks = append(remarks, fmt.Sprintf("%s: %d lines", name, n))
		default:
			violations = append(violations, fmt.Sprintf("%s: %d lines, more than %d", name, n, limit))
		}
	})
	slices.SortFunc(violations, cmp.Compare[string])
	return violations, remarks
}
