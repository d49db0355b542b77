package keychain

import "testing"

// The program leads a session of its own, which has no terminal for a prompt.
func TestRunSession(t *testing.T) {
	result, err := Run(t.Context(), nil, "/bin/sh", "-c", "read -r pid name state parent group session rest </proc/$$/stat; [ $session = $$ ]")
	if err != nil || result.Exit != 0 {
		t.Errorf("exit %d, %v", result.Exit, err)
	}
}
