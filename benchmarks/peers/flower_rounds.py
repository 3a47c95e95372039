"""Flower's simulation doing a round of DP-SGD at every site; prints seconds per round as JSON.

Run by benchmarks/rounds.py in the peers' environment: `python flower_rounds.py SITES ROUNDS`.
Each client trains MLP 10→32→1 with Opacus on 1000 made-up rows, 16 steps at sample rate 0.064.
"""

import json
import os
import sys
import time
import warnings

warnings.filterwarnings("ignore")
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"

import numpy as np  # noqa: E402
import torch  # noqa: E402
from flwr.client import ClientApp, NumPyClient  # noqa: E402
from flwr.common import Context, ndarrays_to_parameters  # noqa: E402
from flwr.server import ServerApp, ServerAppComponents, ServerConfig  # noqa: E402
from flwr.server.strategy import FedAvg  # noqa: E402
from flwr.simulation import run_simulation  # noqa: E402
from opacus import PrivacyEngine  # noqa: E402

STEPS, BATCH, ROWS = 16, 64, 1000
MARKS: list[float] = []


def network() -> torch.nn.Module:
    """The benchmark's model."""
    return torch.nn.Sequential(torch.nn.Linear(10, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))


class Site(NumPyClient):
    """One client with its own rows."""

    def __init__(self, seed: int) -> None:
        source = np.random.default_rng(seed)
        features = source.normal(size=(ROWS, 10)).astype(np.float32)
        targets = (features.sum(axis=1) > 0).astype(np.float32)
        self.rows = torch.utils.data.TensorDataset(
            torch.from_numpy(features), torch.from_numpy(targets)
        )

    def fit(self, parameters, config):
        """One epoch of Poisson batches at sample rate 0.064: 16 steps."""
        torch.set_num_threads(1)
        model = network()
        for weight, value in zip(model.parameters(), parameters, strict=True):
            weight.data = torch.from_numpy(value.copy())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = torch.utils.data.DataLoader(self.rows, batch_size=BATCH)
        private, optimizer, loader = PrivacyEngine().make_private(
            module=model,
            optimizer=optimizer,
            data_loader=loader,
            noise_multiplier=1.0,
            max_grad_norm=1.0,
        )
        loss = torch.nn.BCEWithLogitsLoss()
        for features, targets in loader:
            optimizer.zero_grad()
            loss(private(features).squeeze(-1), targets).backward()
            optimizer.step()
        return [w.detach().numpy() for w in model.parameters()], ROWS, {}


class Timed(FedAvg):
    """FedAvg that notes when each round ended."""

    def aggregate_fit(self, *arguments):
        """Aggregate, then note the time."""
        result = super().aggregate_fit(*arguments)
        MARKS.append(time.perf_counter())
        return result


def client(context: Context):
    """The client of one node."""
    return Site(int(context.node_config["partition-id"])).to_client()


def main(sites: int, rounds: int) -> None:
    """Run the simulation and print the median seconds between two rounds' ends."""
    start = ndarrays_to_parameters([w.detach().numpy() for w in network().parameters()])

    def server(context: Context) -> ServerAppComponents:
        strategy = Timed(
            fraction_fit=1.0,
            fraction_evaluate=0.0,
            min_fit_clients=sites,
            min_available_clients=sites,
            initial_parameters=start,
        )
        return ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=rounds))

    run_simulation(
        ServerApp(server_fn=server),
        ClientApp(client_fn=client),
        num_supernodes=sites,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )
    gaps = np.diff(MARKS)[1:]
    print(json.dumps({"seconds_per_round": float(np.median(gaps))}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
