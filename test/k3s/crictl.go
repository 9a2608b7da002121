package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const pullTimeout = 2 * time.Minute

// crictlCommand knows `pull IMAGE`, by containerd's CRI as crictl does it; the rest needs a crictl on the host.
func crictlCommand(args []string) error {
	if len(args) != 2 || args[0] != "pull" {
		return toolCommand("crictl")(args)
	}
	ctx, cancel := context.WithTimeout(context.Background(), pullTimeout)
	defer cancel()
	connection, err := grpc.NewClient("unix://"+containerdSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	answer, err := cri.NewImageServiceClient(connection).PullImage(ctx, &cri.PullImageRequest{
		Image: &cri.ImageSpec{Image: args[1]},
	})
	if err != nil {
		return fmt.Errorf("pulling image: %w", err)
	}
	fmt.Printf("Image is up to date for %s\n", answer.ImageRef)
	return nil
}
