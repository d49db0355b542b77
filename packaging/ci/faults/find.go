package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"maia-dr/packaging/ci/faults/matrix"
)

// test is a test function that counts, and the rows it counts for.
type test struct {
	dir, name string // of the package below the module, "engine"
	rows      []string
}

type tests []test

// part is what is run of a package.
type part struct {
	dir   string
	tests []string
}

// only returns what to run for some rows, in the order of packages.
func (all tests) only(wanted []matrix.Row) []part {
	var out []part
	for _, t := range all {
		if !slices.ContainsFunc(wanted, func(r matrix.Row) bool { return slices.Contains(t.rows, r.ID) }) {
			continue
		}
		if n := len(out); n == 0 || out[n-1].dir != t.dir {
			out = append(out, part{dir: t.dir})
		}
		last := &out[len(out)-1]
		last.tests = append(last.tests, t.name)
	}
	return out
}

// findTests reads the test files of a module for calls of matrix.Of and matrix.Count. Only a test function may make
// them, with the rows spelled out: what runs for a row is known without running anything.
func findTests(root string) (tests, error) {
	var all tests
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return fmt.Errorf("parse tests: %w", err)
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		found, err := testsOf(file, filepath.ToSlash(dir))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, found...)
		return nil
	})
	slices.SortStableFunc(all, func(a, b test) int { return strings.Compare(a.dir, b.dir) })
	return all, err
}

func testsOf(file *ast.File, dir string) (out []test, err error) {
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		t := test{dir: dir, name: fn.Name.Name}
		ast.Inspect(fn, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !ofMatrix(call.Fun) {
				return true
			}
			for _, arg := range call.Args[1:] {
				lit, ok := arg.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					continue
				}
				id, _ := strconv.Unquote(lit.Value) // a literal of a file that was parsed
				if _, known := matrix.Find(id); !known {
					err = fmt.Errorf("%s counts for row %q, which there is not", t.name, id)
				}
				if !slices.Contains(t.rows, id) {
					t.rows = append(t.rows, id)
				}
			}
			if len(t.rows) == 0 || !strings.HasPrefix(t.name, "Test") || fn.Recv != nil {
				err = fmt.Errorf("%s: only a test function counts, with rows spelled out", t.name)
			}
			return true
		})
		if err != nil {
			return nil, err
		}
		if len(t.rows) > 0 {
			out = append(out, t)
		}
	}
	return out, nil
}

// ofMatrix tells whether an expression is matrix.Of or matrix.Count.
func ofMatrix(e ast.Expr) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == "matrix" && (sel.Sel.Name == "Of" || sel.Sel.Name == "Count")
}
