// Command darwincheck type-checks the module as macOS builds it with cgo, on
// any system and without Apple's SDK: go list says which files and packages
// that build has, and go/types checks them with every C name taken on trust.
// What it cannot see is a wrong C name or type, and whether it links.
//
//	go run ./packaging/ci/darwincheck [arm64 amd64]
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("darwincheck: ")
	archs := os.Args[1:]
	if len(archs) == 0 {
		archs = []string{"arm64", "amd64"}
	}
	failed := false
	for _, arch := range archs {
		checked, problems, err := check(".", arch)
		if err != nil {
			log.Fatal(err)
		}
		for _, p := range problems {
			fmt.Fprintln(os.Stderr, p)
			failed = true
		}
		fmt.Printf("darwin/%s with cgo: %d packages and tests, %d problems\n", arch, checked, len(problems))
	}
	if failed {
		log.Fatal("the module does not type-check for macOS with cgo")
	}
}

// listed is what go list says of a package, or of its variant for a test.
type listed struct {
	ImportPath string
	Name       string
	Dir        string
	GoFiles    []string
	CgoFiles   []string
	ImportMap  map[string]string
	Module     *struct{ Main bool }
	Error      *struct{ Err string }
}

func (p *listed) ours() bool { return p.Module != nil && p.Module.Main }

// check type-checks the module in dir with all its dependencies and tests. It
// returns how many of the module's packages it looked at and what is wrong
// with them; err is about the check itself.
func check(dir, arch string) (checked int, problems []string, err error) {
	packages, err := list(dir, arch)
	if err != nil {
		return 0, nil, err
	}
	fset := token.NewFileSet()
	done := map[string]*types.Package{"unsafe": types.Unsafe}
	for _, p := range packages {
		if p.ImportPath == "unsafe" || isTestMain(p) {
			continue
		}
		if p.Error != nil && p.ours() {
			problems = append(problems, p.ImportPath+": "+p.Error.Err)
		}
		files, parseProblems := parse(fset, p)
		conf := types.Config{
			FakeImportC:      true,
			IgnoreFuncBodies: !p.ours(),
			Sizes:            types.SizesFor("gc", arch),
			Importer:         importer{p.ImportMap, done},
			Error: func(err error) {
				if p.ours() {
					problems = append(problems, err.Error())
				}
			},
		}
		path, _, _ := strings.Cut(p.ImportPath, " ") // without the "[x.test]" of a variant
		// The error is the first of those that conf.Error has seen.
		done[p.ImportPath], _ = conf.Check(path, fset, files, nil)
		if p.ours() {
			checked++
			problems = append(problems, parseProblems...)
		}
	}
	if checked == 0 {
		return 0, nil, errors.New("check module: no packages found")
	}
	// A fault in a package is a fault in its test variant, too.
	slices.Sort(problems)
	return checked, slices.Compact(problems), nil
}

// list asks for all packages of the build, dependencies first.
func list(dir, arch string) ([]*listed, error) {
	cmd := exec.Command("go", "list", "-e", "-deps", "-test",
		"-json=ImportPath,Name,Dir,GoFiles,CgoFiles,ImportMap,Module,Error", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH="+arch, "CGO_ENABLED=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("run go list: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run go list: %w", err)
	}
	var packages []*listed
	for dec := json.NewDecoder(out); ; {
		p := new(listed)
		err := dec.Decode(p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read go list: %w", err)
		}
		packages = append(packages, p)
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("run go list: %w", err)
	}
	return packages, nil
}

// isTestMain tells the generated main package of a test.
func isTestMain(p *listed) bool {
	return p.Name == "main" && strings.HasSuffix(p.ImportPath, ".test")
}

func parse(fset *token.FileSet, p *listed) (files []*ast.File, problems []string) {
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(p.Dir, name)
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			problems = append(problems, err.Error())
		}
		if f != nil {
			files = append(files, f)
		}
	}
	return files, problems
}

// importer hands out the packages checked before.
type importer struct {
	renamed map[string]string // the importing package's view: vendored and test variants
	done    map[string]*types.Package
}

func (im importer) Import(path string) (*types.Package, error) {
	if to, ok := im.renamed[path]; ok {
		path = to
	}
	if p := im.done[path]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("import %q: not in this build", path)
}
