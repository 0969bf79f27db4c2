package embedded

import (
	"context"
	"database/sql"

	"github.com/seguehq/segue/automation"
)

// secretNames returns the names of the project's secrets, sorted.
func (s *Store) secretNames(ctx context.Context, project string) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT name FROM secrets WHERE project = ? ORDER BY name", project)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names := []string{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// secrets returns the values of the project's secrets by name.
func (s *Store) secrets(ctx context.Context, project string) (map[string]automation.Secret, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT name, nonce, ciphertext FROM secrets WHERE project = ?", project)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	values := map[string]automation.Secret{}
	for rows.Next() {
		var name string
		var nonce, ciphertext []byte
		if err := rows.Scan(&name, &nonce, &ciphertext); err != nil {
			return nil, err
		}
		if values[name], err = s.vault.open(project, name, nonce, ciphertext); err != nil {
			return nil, err
		}
	}
	return values, rows.Err()
}

// putSecret stores a value and replaces an old one.
func (s *Store) putSecret(ctx context.Context, project, name string, value automation.Secret) error {
	nonce, ciphertext := s.vault.seal(project, name, value)
	return s.update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO secrets (project, name, nonce, ciphertext, updated_at) VALUES (?, ?, ?, ?, ?)",
			project, name, nonce, ciphertext, millis(s.now()))
		return err
	})
}

// deleteSecret removes a secret if it is there.
func (s *Store) deleteSecret(ctx context.Context, project, name string) error {
	return s.update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM secrets WHERE project = ? AND name = ?", project, name)
		return err
	})
}
