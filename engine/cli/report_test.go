package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestReport...
func TestReport(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{historyFull, historyFirst, historyFailing} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newReportWorld(t).history(kind)
			var page bytes.Buffer
			if err := writeReport(&page, r); err != nil {
				t.Fatal(err)
			}
			if dir := os.Getenv("MAIA_TEST_PAGES"); dir != "" {
				if err := os.WriteFile(filepath.Join(dir, kind+".html"), page.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
