package n8n

import (
	"context"
	"strings"
)

// product names n8n with its version, as far as it gives that out.
func (p *Platform) product(ctx context.Context) (product string, warnings []string, err error) {
	_, version := p.settings(ctx)
	return "n8n" + strings.Replace(version, ", version", "", 1), nil, nil
}
