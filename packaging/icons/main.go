// Command icons draws the program's icons from their SVG sources: templates for macOS (black and alpha, 16 points at two
// pixels each), coloured ones for light and dark panels of Linux, and the app icon, alone and as the .icns of a bundle.
// It needs rsvg-convert. The pictures are committed: building the program needs no drawing.
//
//	go run ./packaging/icons resources/icons
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"maia-dr/engine/fsx"
)

// colours are those of each icon on a light and on a dark panel; "running-0" has those of "running".
var colours = map[string]struct{ light, dark string }{
	"proven":    {"#12803c", "#4ade80"},
	"neutral":   {"#475569", "#cbd5e1"},
	"uploading": {"#1d5fc4", "#7ab8ff"},
	"running":   {"#1d5fc4", "#7ab8ff"},
	"attention": {"#a65300", "#ffb224"},
	"failed":    {"#c01c28", "#ff6b6b"},
	"overdue":   {"#a8430f", "#ff9b50"},
	"paused":    {"#475569", "#cbd5e1"},
	"setup":     {"#6b3fa0", "#c4a6ff"},
}

// The sizes in pixels.
const (
	templateSize = 32
	panelSize    = 48
	appSize      = 512
)

// icnsTypes are the parts of an .icns file and their sizes in pixels.
var icnsTypes = []struct {
	kind string
	size int
}{{"ic11", 32}, {"ic12", 64}, {"ic07", 128}, {"ic13", 256}, {"ic08", 256}, {"ic14", 512}, {"ic09", 512}, {"ic10", 1024}}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: icons DIR")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatalf("icons: %v", err)
	}
}

func run(dir string) error {
	sources, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	if err != nil {
		return err
	}
	for _, svg := range sources {
		name := strings.TrimSuffix(filepath.Base(svg), ".svg")
		if name == "app" {
			err = app(svg, dir)
		} else {
			err = symbol(svg, name, dir)
		}
		if err != nil {
			return fmt.Errorf("draw %s: %w", name, err)
		}
	}
	fmt.Printf("%d icons\n", len(sources))
	return nil
}

// symbol draws an icon of the menu bar in its three forms.
func symbol(svg, name, dir string) error {
	kind, _, _ := strings.Cut(name, "-")
	c, ok := colours[kind]
	if !ok {
		return fmt.Errorf("it has no colours")
	}
	for _, form := range []struct {
		folder, colour string
		size           int
	}{{"template", "#000", templateSize}, {"light", c.light, panelSize}, {"dark", c.dark, panelSize}} {
		png, err := draw(svg, form.colour, form.size)
		if err != nil {
			return err
		}
		if err := write(filepath.Join(dir, form.folder, name+".png"), png); err != nil {
			return err
		}
	}
	return nil
}

// app draws the app icon, and puts its sizes into an .icns: "icns", the length of all, then a type, a length and a PNG
// for each.
func app(svg, dir string) error {
	png, err := draw(svg, "#000", appSize)
	if err != nil {
		return err
	}
	if err := write(filepath.Join(dir, "app.png"), png); err != nil {
		return err
	}
	var body bytes.Buffer
	for _, t := range icnsTypes {
		png, err := draw(svg, "#000", t.size)
		if err != nil {
			return err
		}
		body.WriteString(t.kind)
		body.Write(binary.BigEndian.AppendUint32(nil, uint32(len(png)+8)))
		body.Write(png)
	}
	head := binary.BigEndian.AppendUint32([]byte("icns"), uint32(body.Len()+8))
	return write(filepath.Join(dir, "app.icns"), append(head, body.Bytes()...))
}

// draw returns a square PNG of an SVG in which currentColor is the colour.
func draw(svg, colour string, size int) ([]byte, error) {
	source, err := os.ReadFile(svg)
	if err != nil {
		return nil, err
	}
	n := strconv.Itoa(size)
	cmd := exec.CommandContext(context.Background(), "rsvg-convert", "-w", n, "-h", n)
	cmd.Stdin = bytes.NewReader(bytes.Replace(source, []byte("<svg "), []byte(`<svg color="`+colour+`" `), 1))
	cmd.Stderr = os.Stderr
	return cmd.Output()
}

func write(path string, b []byte) error {
	var disk *fsx.FS
	if err := disk.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return disk.WriteAtomic(path, 0o644, b)
}
