// SPDX-License-Identifier: GPL-2.0-only
/*
 * Provider: QEMU's ivshmem-doorbell PCI device. BAR0 holds the doorbell
 * register, BAR1 the MSI-X table, BAR2 the shared memory.
 *
 * The PCI identity belongs to others as well. Until the header has been
 * validated this only reads BAR2: no write to BAR0, no bus mastering, no MSI-X.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "window.h"

#define ION_BAR_REGS 0
#define ION_BAR_MEM 2

/**
 * struct ion_ivshmem_vector - context of one interrupt handler
 * @window: whose vector it is
 * @vector: number
 */
struct ion_ivshmem_vector {
	struct ion_window *window;
	unsigned int vector;
};

/**
 * struct ion_ivshmem - one device
 * @window: its window
 * @pdev: PCI device
 * @regs: BAR0
 * @vectors: interrupt contexts
 */
struct ion_ivshmem {
	struct ion_window window;
	struct pci_dev *pdev;
	void __iomem *regs;
	struct ion_ivshmem_vector vectors[ION_MAX_VECTORS];
};

static void ion_ivshmem_ring(struct ion_window *w, u16 peer, u16 vector)
{
	struct ion_ivshmem *iv = container_of(w, struct ion_ivshmem, window);

	/*
	 * writel() orders the ring's stores, which are ordinary memory, before
	 * the register's; what the host sees by polling is ordered by the
	 * release and full barriers of the ring itself.
	 */
	writel((u32)peer << 16 | vector, iv->regs + ION_IVSHMEM_DOORBELL);
}

static const struct ion_window_ops ion_ivshmem_ops = {
	.ring = ion_ivshmem_ring,
};

static irqreturn_t ion_ivshmem_irq(int irq, void *data)
{
	struct ion_ivshmem_vector *v = data;

	ion_window_interrupt(v->window, v->vector);
	return IRQ_HANDLED;
}

/* Those from vector @n on. */
static void ion_ivshmem_free_irqs(struct ion_ivshmem *iv, unsigned int n)
{
	for (; n < iv->window.nr_vectors; n++)
		free_irq(pci_irq_vector(iv->pdev, n), &iv->vectors[n]);
}

/*
 * The control vector last: when the host rings it the monitor makes devices, which
 * use the window from then on, and nothing here may fail any more.
 */
static int ion_ivshmem_request_irqs(struct ion_ivshmem *iv)
{
	unsigned int n = iv->window.nr_vectors;
	int ret;

	while (n--) {
		iv->vectors[n].window = &iv->window;
		iv->vectors[n].vector = n;
		ret = request_irq(pci_irq_vector(iv->pdev, n), ion_ivshmem_irq,
				  0, "nexus_ion", &iv->vectors[n]);
		if (ret) {
			dev_err(&iv->pdev->dev,
				"vector %u: no interrupt (%d)\n", n, ret);
			ion_ivshmem_free_irqs(iv, n + 1);
			return ret;
		}
	}
	return 0;
}

/* Interrupts, once the window is known to be ours, and the window on top. */
static int ion_ivshmem_start(struct ion_ivshmem *iv)
{
	struct pci_dev *pdev = iv->pdev;
	int ret;

	pci_set_master(pdev);
	ret = pci_alloc_irq_vectors(pdev, 1, ION_MAX_VECTORS, PCI_IRQ_MSIX);
	if (ret < 0) {
		dev_err(&pdev->dev,
			"no MSI-X vectors (%d); an ivshmem-doorbell device is needed, ivshmem-plain has no doorbell\n",
			ret);
		goto clear_master;
	}
	iv->window.nr_vectors = ret;
	ret = ion_window_init(&iv->window);
	if (ret)
		goto free_vectors;
	ret = ion_ivshmem_request_irqs(iv);
	if (ret)
		goto window_exit;
	ret = ion_window_add(&iv->window);
	if (ret)
		goto free_irqs;
	return 0;

free_irqs:
	ion_ivshmem_free_irqs(iv, 0);
window_exit:
	ion_window_exit(&iv->window);
free_vectors:
	pci_free_irq_vectors(pdev);
clear_master:
	pci_clear_master(pdev);
	return ret;
}

/*
 * A BAR is memory here: ordinary, cached loads and stores. memremap() gives that
 * under TCG and on Intel; where the guest's PAT counts it may be slower.
 */
static int ion_ivshmem_map(struct ion_ivshmem *iv)
{
	struct pci_dev *pdev = iv->pdev;
	resource_size_t length = pci_resource_len(pdev, ION_BAR_MEM);

	if (!length || length > SIZE_MAX) {
		dev_info(&pdev->dev, "no ION window: no shared memory in BAR2\n");
		return -ENODEV;
	}
	iv->window.mapped = length;
	iv->window.base = memremap(pci_resource_start(pdev, ION_BAR_MEM),
				   length, MEMREMAP_WB);
	if (!iv->window.base)
		return -ENOMEM;
	iv->regs = pci_iomap(pdev, ION_BAR_REGS, 0);
	if (!iv->regs) {
		memunmap(iv->window.base);
		return -ENOMEM;
	}
	return 0;
}

static void ion_ivshmem_unmap(struct ion_ivshmem *iv)
{
	pci_iounmap(iv->pdev, iv->regs);
	memunmap(iv->window.base);
}

static int ion_ivshmem_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct ion_ivshmem *iv;
	int ret;

	iv = kzalloc(sizeof(*iv), GFP_KERNEL);
	if (!iv)
		return -ENOMEM;
	iv->pdev = pdev;
	iv->window.parent = &pdev->dev;
	iv->window.provider = "ivshmem";
	iv->window.ops = &ion_ivshmem_ops;

	ret = pci_enable_device_mem(pdev);
	if (ret)
		goto free;
	ret = pci_request_mem_regions(pdev, "nexus_ion");
	if (ret)
		goto disable;
	ret = ion_ivshmem_map(iv);
	if (ret)
		goto release;
	ret = ion_window_check(&iv->window);
	if (ret)
		goto unmap;
	ret = ion_ivshmem_start(iv);
	if (ret)
		goto unmap;
	pci_set_drvdata(pdev, iv);
	return 0;

unmap:
	ion_ivshmem_unmap(iv);
release:
	pci_release_mem_regions(pdev);
disable:
	pci_disable_device(pdev);
free:
	kfree(iv);
	return ret;
}

static void ion_ivshmem_remove(struct pci_dev *pdev)
{
	struct ion_ivshmem *iv = pci_get_drvdata(pdev);

	ion_window_remove(&iv->window);
	ion_ivshmem_free_irqs(iv, 0);
	ion_window_exit(&iv->window);
	pci_free_irq_vectors(pdev);
	pci_clear_master(pdev);
	ion_ivshmem_unmap(iv);
	pci_release_mem_regions(pdev);
	pci_disable_device(pdev);
	kfree(iv);
}

static const struct pci_device_id ion_ivshmem_ids[] = {
	{ PCI_DEVICE(ION_IVSHMEM_VENDOR, ION_IVSHMEM_DEVICE) },
	{}
};
MODULE_DEVICE_TABLE(pci, ion_ivshmem_ids);

static struct pci_driver ion_ivshmem_driver = {
	.name = "nexus_ion",
	.id_table = ion_ivshmem_ids,
	.probe = ion_ivshmem_probe,
	.remove = ion_ivshmem_remove,
};

/**
 * ion_ivshmem_present - is there any ivshmem device, ours or not
 *
 * Return: true when one is on the PCI bus.
 */
bool ion_ivshmem_present(void)
{
	return pci_dev_present(ion_ivshmem_ids);
}

int ion_ivshmem_init(void)
{
	return pci_register_driver(&ion_ivshmem_driver);
}

void ion_ivshmem_exit(void)
{
	pci_unregister_driver(&ion_ivshmem_driver);
}
